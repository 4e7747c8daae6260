"""Finding examples that occur twice: exact copies, and near ones by their fingerprints."""
