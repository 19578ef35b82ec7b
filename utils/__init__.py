"""What all parts share: options, run directories, training, graph surgery, export, reports."""
