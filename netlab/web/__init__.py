"""``netlab serve``: a page of a running lab over HTTP, from a process without rights."""
