"""One member: what a generator costs to fit and to sample, and how good its rows are. The card of generators.py.

usage: member.py [SOURCE target=COLUMN] [key=value ...] [--json FILE], with the keys of generators.py
"""

import sys
import warnings

from generators import main

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(sys.argv[1:], benchmark="member")
