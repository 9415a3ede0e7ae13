"""A language model plans and words, where there is one. It sees a question and quoted, masked evidence, and has no tools.

Nothing here loads its library before the first call.
"""
