"""The demo: a corpus that the project writes itself, its labels, and their use.

``corpus.write_corpus`` writes it, ``labels.read_labels`` reads what is true of it, and
``evaluation`` counts how much of a selection is. Only reports look at labels.
"""

__all__: list[str] = []
