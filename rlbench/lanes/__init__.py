"""The engine: runs as lanes of one batched program. Knows nothing of files, W&B or Optuna."""
