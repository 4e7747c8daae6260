"""Files beside a model: its card, figures and other artifacts."""
