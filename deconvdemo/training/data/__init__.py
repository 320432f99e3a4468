"""Where patches come from: corpora of photographs, and flags that reviewers accepted."""
