/* Shows the thread sanitizer how GLib orders threads. GLib is not instrumented, and its mutexes and
 * conditions are futexes of its own (its threads, recursive and read-write locks are pthread's,
 * which the sanitizer knows). Linked into a program, these definitions come before GLib's for every
 * library.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <glib-object.h>
#include <sanitizer/tsan_interface.h>

/* The definition that would have been found without this file. */
#define REAL(function)                                      \
  __extension__({                                           \
    static void *found;                                     \
    void *real = __atomic_load_n(&found, __ATOMIC_RELAXED); \
    if (!real) {                                            \
      real = dlsym(RTLD_NEXT, #function);                   \
      __atomic_store_n(&found, real, __ATOMIC_RELAXED);     \
    }                                                       \
    (__typeof__(&(function)))real;                          \
  })

static void released(GMutex *mutex) {
  __tsan_mutex_pre_unlock(mutex, 0);
  __tsan_mutex_post_unlock(mutex, 0);
}

static void taken(GMutex *mutex) {
  __tsan_mutex_pre_lock(mutex, 0);
  __tsan_mutex_post_lock(mutex, 0, 0);
}

void g_mutex_lock(GMutex *mutex) {
  __tsan_mutex_pre_lock(mutex, 0);
  REAL(g_mutex_lock)(mutex);
  __tsan_mutex_post_lock(mutex, 0, 0);
}

gboolean g_mutex_trylock(GMutex *mutex) {
  const gboolean got = REAL(g_mutex_trylock)(mutex);
  if (got) taken(mutex);
  return got;
}

void g_mutex_unlock(GMutex *mutex) {
  __tsan_mutex_pre_unlock(mutex, 0);
  REAL(g_mutex_unlock)(mutex);
  __tsan_mutex_post_unlock(mutex, 0);
}

void g_cond_wait(GCond *cond, GMutex *mutex) {
  released(mutex);
  REAL(g_cond_wait)(cond, mutex);
  taken(mutex);
}

gboolean g_cond_wait_until(GCond *cond, GMutex *mutex, gint64 end_time) {
  released(mutex);
  const gboolean signalled = REAL(g_cond_wait_until)(cond, mutex, end_time);
  taken(mutex);
  return signalled;
}

/* GLib's own calls do not come through here, so its queues are shown as a whole: what was pushed
 * comes before what is popped. */
void g_async_queue_push(GAsyncQueue *queue, gpointer data) {
  __tsan_release(queue);
  REAL(g_async_queue_push)(queue, data);
}

gpointer g_async_queue_try_pop(GAsyncQueue *queue) {
  const gpointer data = REAL(g_async_queue_try_pop)(queue);
  __tsan_acquire(queue);
  return data;
}

gpointer g_async_queue_timeout_pop(GAsyncQueue *queue, guint64 timeout) {
  const gpointer data = REAL(g_async_queue_timeout_pop)(queue, timeout);
  __tsan_acquire(queue);
  return data;
}

/* The count is atomic: who lets go last comes after all who did before. */
void g_object_unref(gpointer object) {
  __tsan_release(object);
  __tsan_acquire(object);
  REAL(g_object_unref)(object);
}
