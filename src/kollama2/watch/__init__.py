"""Watch: a page that shows the studies of a store while they are computed."""
