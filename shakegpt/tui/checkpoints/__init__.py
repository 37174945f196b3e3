"""The checkpoint screen: lists the runs of the store, and resumes, compares, renames, deletes or opens them."""
