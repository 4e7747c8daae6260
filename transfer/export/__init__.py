"""Files of a trained model: ``.keras`` and other formats, each compared with it, and predictions."""
