"""All I/O, one file a neighbour; foreign exceptions are mapped here, once."""
