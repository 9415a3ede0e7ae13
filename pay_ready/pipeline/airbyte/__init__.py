"""Sources that an Airbyte extracts: its job is run or adopted and watched to the end, then the tables that it wrote are read."""
