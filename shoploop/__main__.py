"""``python -m shoploop`` is the command ``shoploop``."""

from shoploop.cli.main import main

main()
