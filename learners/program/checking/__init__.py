"""`--exec_mode=check` and `--dry_run`: what a run would do, before it does anything."""
