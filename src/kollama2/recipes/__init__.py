"""The named recipes as data: one YAML file each, with the source of every number in it."""
