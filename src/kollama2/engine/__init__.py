"""The engine: stages are values, a store keeps their results, a launcher runs them somewhere."""
