"""Lets `python -m suture` do what `suture` does."""

from suture.cli import main

main()
