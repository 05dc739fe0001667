"""From files to a checked Scenario: Compose, x-netlab, the flow grammar, the schema.  Pure."""
