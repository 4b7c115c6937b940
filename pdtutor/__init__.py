"""pdtutor: progressive distillation and the implicit curriculum, as a course and a package."""
