"""Pretrained networks as extractors; torch is imported when one is first run."""
