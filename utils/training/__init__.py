"""Training loop, evaluation, schedules, distillation and checkpoints."""
