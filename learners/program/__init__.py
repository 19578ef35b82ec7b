"""The program: chains of learners, execution modes, export."""
