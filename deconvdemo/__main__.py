import sys

from deconvdemo.cli import main

sys.exit(main())
