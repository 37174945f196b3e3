"""``python -m shakegpt``."""

from shakegpt.cli import main

if __name__ == "__main__":
    main()
