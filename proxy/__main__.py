"""``python -m proxy`` is ``kube-restream``."""

import sys

from proxy.cli import main

sys.exit(main())
