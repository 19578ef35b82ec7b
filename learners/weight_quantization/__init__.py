"""What the learners of k-bit weights share."""
