"""Export: a model taken away, checked in the form in which others will read it."""
