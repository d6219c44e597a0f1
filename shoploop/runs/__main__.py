"""``python -m shoploop.runs``: steps inside a pod."""

import sys

from shoploop.runs.pod import main

if __name__ == "__main__":
    sys.exit(main())
