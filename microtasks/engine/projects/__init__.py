"""Projects: settings, templates, trials, translations, dashboards."""
