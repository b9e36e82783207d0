"""What kollama2 offers to Python; the names that users import stand in `kollama2` itself."""
