"""Tables with named columns: from cells to a schema, and by the schema to arrays."""
