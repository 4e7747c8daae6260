"""Work items: cells, pretrainings, measurements and exports, and the queue they wait in."""
