"""Who may call what: tokens, roles and permits."""
