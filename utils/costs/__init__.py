"""What layers and operations cost: multiply-adds from shapes alone."""
