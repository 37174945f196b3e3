"""The training screen: a run as it learns, and the form that starts one."""
