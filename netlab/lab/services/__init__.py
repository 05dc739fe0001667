"""What answers inside a lab: responders, DNS, userland proxies."""
