"""``python -m shoploop.runs``: steps inside a pod."""

import sys

from shoploop.runs.pod_verbs import main
from shoploop.runs.together import VERB, take_part

if __name__ == "__main__":
    sys.exit(take_part(sys.argv[2:]) if sys.argv[1:2] == [VERB] else main())
