/* Temporary directories that go away. */

#ifndef TESTS_TMP_H
#define TESTS_TMP_H

/* Make one under $TMPDIR or /tmp. Give: tmp_remove. Ends the test on
 * failure. */
char *tmp_make(void);
/* Remove it with all that is in it. Take; NULL is fine. */
void tmp_remove(char *dir);
/* Copy a directory as a backup tool would: times, modes, sparse files. */
void tmp_copy(const char *from, const char *to);

#endif /* TESTS_TMP_H */
