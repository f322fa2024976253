"""vqa-score: learned video quality metrics for the shell."""

