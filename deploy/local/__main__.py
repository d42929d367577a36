"""`python -m deploy.local up|down|status|logs|demo|migrate|dump|restore`"""

import sys

from deploy.local.command import main

sys.exit(main(sys.argv[1:]))
