"""Back end of the embedded switch: a typed program becomes C, compiled and cached by content."""
