"""``python -m rankvqa_cli`` is ``vqa-score``."""

from rankvqa_cli.cli.main import run

if __name__ == "__main__":
    run()
