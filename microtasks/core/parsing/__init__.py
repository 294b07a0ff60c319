"""What strangers send, read strictly: tables, JSON, what people type, plain files of answers."""
