"""The standards that health systems speak, as pure functions over plain dicts and text."""
