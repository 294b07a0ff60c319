"""Do other people's tools read what is exported?"""
