"""The training loop and what it needs: averaging, schedules, health."""
