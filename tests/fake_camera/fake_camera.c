/*
 * V4L2 cameras for one process, without a kernel that has any. Loaded with LD_PRELOAD; the environment variable
 * FAKE_CAMERAS names a folder that plays the machine:
 *
 *   dev/videoN                     one line: the id of the camera that is plugged in there. Remove it to unplug.
 *   sys/class/video4linux/videoN/  as the kernel has it, with links into sys/devices/fake/
 *   cameras/ID                     what the camera is, one word and its values per line (see load())
 *   cameras/ID.freeze              while it exists no frame comes, and no error
 *   cameras/ID.corrupt             while it exists the driver marks every frame as damaged
 *   frames/ID/FOURCC               the bytes of each frame; exchange it (by rename) to send something else
 *
 * A buffer keeps what older, longer frames left in it, as a real one does: who reads on behind `bytesused` finds it.
 * Whatever does not concern these devices is passed on to the C library.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BUFFERS 4
#define MODES 32
#define HANDLES 64
#define INTERVALS 8

struct mode {
    uint32_t code, width, height;
    struct v4l2_fract interval[INTERVALS];
    int intervals;
};

struct camera {
    char driver[16], card[32], bus[32];
    uint32_t caps, stride;
    struct mode modes[MODES], now, sticky;
    int count;
};

struct handle {
    int used, fd, number;
    char id[64];
    struct camera camera;
    uint8_t *memory;
    size_t size;
    int buffers, queue[BUFFERS], queued, streaming;
    uint32_t sequence;
    int64_t due;
};

static struct handle handles[HANDLES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static const char *root(void) { return getenv("FAKE_CAMERAS"); }

static int begins(const char *text, const char *with) { return strncmp(text, with, strlen(with)) == 0; }

/* Where a path of the played machine lies in reality; the path itself if it is not of that kind. */
static const char *where(const char *path, char *out, size_t size) {
    static const char *const places[] = {"/dev/video", "/dev/v4l", "/sys/class/video4linux", "/sys/devices/fake"};
    for (size_t i = 0; root() && path && i < sizeof places / sizeof *places; i++) {
        if (begins(path, places[i])) {
            snprintf(out, size, "%s%s", root(), path);
            return out;
        }
    }
    return path;
}

static int64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int exists(const struct handle *h, const char *what) {
    char path[512];
    snprintf(path, sizeof path, "%s/cameras/%s.%s", root(), h->id, what);
    return access(path, F_OK) == 0;
}

static int plugged_in(const struct handle *h) {
    char path[512];
    snprintf(path, sizeof path, "%s/dev/video%d", root(), h->number);
    return access(path, F_OK) == 0;
}

static uint32_t code_of(const char *text) { return v4l2_fourcc(text[0], text[1], text[2], text[3]); }

/* "MJPG 640 480 1/30 2/30" */
static int parse_mode(char *text, struct mode *mode) {
    char code[8], *save, *word;
    int used = 0;
    memset(mode, 0, sizeof *mode);
    if (sscanf(text, "%4s %u %u%n", code, &mode->width, &mode->height, &used) < 3) return 0;
    mode->code = code_of(code);
    for (word = strtok_r(text + used, " ", &save); word && mode->intervals < INTERVALS; word = strtok_r(NULL, " ", &save)) {
        struct v4l2_fract *f = &mode->interval[mode->intervals];
        if (sscanf(word, "%u/%u", &f->numerator, &f->denominator) == 2) mode->intervals++;
    }
    return 1;
}

/*
 * driver uvcvideo | card A name | bus usb-fake-1 | caps 04200001 | mode FOURCC W H N/D... (several)
 * now FOURCC W H N/D: how its last user left it | sticky FOURCC W H: what it takes whatever it is asked for
 * stride BYTES: of raw pictures
 */
static int load(struct camera *c, const char *id) {
    char path[512], line[512];
    snprintf(path, sizeof path, "%s/cameras/%s", root(), id);
    FILE *file = fopen(path, "r");
    if (!file) return 0;
    memset(c, 0, sizeof *c);
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        char *value = strchr(line, ' ');
        if (!value) continue;
        *value++ = 0;
        if (!strcmp(line, "driver")) strncpy(c->driver, value, sizeof c->driver - 1);
        else if (!strcmp(line, "card")) strncpy(c->card, value, sizeof c->card - 1);
        else if (!strcmp(line, "bus")) strncpy(c->bus, value, sizeof c->bus - 1);
        else if (!strcmp(line, "caps")) c->caps = strtoul(value, NULL, 16);
        else if (!strcmp(line, "stride")) c->stride = strtoul(value, NULL, 10);
        else if (!strcmp(line, "now")) parse_mode(value, &c->now);
        else if (!strcmp(line, "sticky")) parse_mode(value, &c->sticky);
        else if (!strcmp(line, "mode") && c->count < MODES) c->count += parse_mode(value, &c->modes[c->count]);
    }
    fclose(file);
    if (!c->now.code && c->count) c->now = c->modes[0];
    return 1;
}

static struct handle *of(int fd) {
    for (int i = 0; i < HANDLES; i++)
        if (handles[i].used && handles[i].fd == fd) return &handles[i];
    return NULL;
}

static int open_camera(int number) {
    char path[512], id[64] = "";
    snprintf(path, sizeof path, "%s/dev/video%d", root(), number);
    FILE *file = fopen(path, "r");
    if (!file) {
        errno = ENOENT;
        return -1;
    }
    if (fscanf(file, "%63s", id) != 1) id[0] = 0;
    fclose(file);
    pthread_mutex_lock(&lock);
    struct handle *h = handles;
    while (h < handles + HANDLES && h->used) h++;
    if (h == handles + HANDLES || !load(&h->camera, id)) {
        pthread_mutex_unlock(&lock);
        errno = ENXIO;
        return -1;
    }
    struct camera camera = h->camera;
    memset(h, 0, sizeof *h);
    h->camera = camera;
    h->number = number;
    snprintf(h->id, sizeof h->id, "%s", id);
    /* The descriptor is the memory of the buffers, so that mmap needs no help. */
    h->fd = memfd_create("camera", MFD_CLOEXEC);
    h->used = h->fd >= 0;
    pthread_mutex_unlock(&lock);
    return h->fd;
}

static int is_jpeg(uint32_t code) { return code == V4L2_PIX_FMT_MJPEG || code == V4L2_PIX_FMT_JPEG; }

static void fill(const struct camera *c, struct v4l2_pix_format *pix) {
    const struct mode *m = &c->now;
    memset(pix, 0, sizeof *pix);
    pix->width = m->width;
    pix->height = m->height;
    pix->pixelformat = m->code;
    pix->field = V4L2_FIELD_NONE;
    pix->colorspace = is_jpeg(m->code) ? V4L2_COLORSPACE_JPEG : V4L2_COLORSPACE_SRGB;
    if (!is_jpeg(m->code) && m->code != V4L2_PIX_FMT_H264) {
        uint32_t packed = m->code == V4L2_PIX_FMT_NV12 ? m->width : 2 * m->width;
        pix->bytesperline = c->stride ? c->stride : packed;
    }
    pix->sizeimage = pix->bytesperline ? pix->bytesperline * (m->height + 1) * 3 / 2 : m->width * m->height * 2;
}

static void choose(struct camera *c, uint32_t code, uint32_t width, uint32_t height) {
    struct v4l2_fract interval = c->now.interval[0];
    const struct mode *best = NULL;
    for (int i = 0; i < c->count; i++) {
        const struct mode *m = &c->modes[i];
        if (m->code == code && (!best || (m->width == width && m->height == height))) best = m;
    }
    if (c->sticky.code) best = &c->sticky;
    if (!best && c->count) best = &c->modes[0];
    if (best) c->now = *best;
    if (!c->now.intervals) {
        c->now.interval[0] = interval;
        c->now.intervals = 1;
    }
}

static int64_t interval_us(const struct camera *c) {
    const struct v4l2_fract *f = &c->now.interval[0];
    return f->denominator ? (int64_t)f->numerator * 1000000 / f->denominator : 33333;
}

static int ready(struct handle *h) {
    return h->streaming && h->queued && now_us() >= h->due && !exists(h, "freeze");
}

static int dequeue(struct handle *h, struct v4l2_buffer *buf) {
    char path[512], code[5] = "";
    if (!h->streaming) return EINVAL;
    if (!ready(h)) return EAGAIN;
    int64_t interval = interval_us(&h->camera);
    /* Who is slow loses frames, and the numbers tell. */
    while (now_us() - h->due > h->queued * interval) {
        h->due += interval;
        h->sequence++;
    }
    int index = h->queue[0];
    memmove(h->queue, h->queue + 1, --h->queued * sizeof *h->queue);
    memcpy(code, &h->camera.now.code, 4);
    snprintf(path, sizeof path, "%s/frames/%s/%s", root(), h->id, code);
    FILE *file = fopen(path, "r");
    size_t got = file ? fread(h->memory + index * h->size, 1, h->size, file) : 0;
    if (file) fclose(file);
    int64_t stamp = h->due;
    h->due += interval;
    memset(buf, 0, sizeof *buf);
    buf->index = index;
    buf->type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    buf->memory = V4L2_MEMORY_MMAP;
    buf->bytesused = got;
    buf->length = h->size;
    buf->m.offset = index * h->size;
    buf->sequence = h->sequence++;
    buf->timestamp.tv_sec = stamp / 1000000;
    buf->timestamp.tv_usec = stamp % 1000000;
    buf->flags = V4L2_BUF_FLAG_MAPPED | V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
    if (exists(h, "corrupt")) buf->flags |= V4L2_BUF_FLAG_ERROR;
    return 0;
}

static int request_buffers(struct handle *h, struct v4l2_requestbuffers *r) {
    struct v4l2_pix_format pix;
    long page = sysconf(_SC_PAGESIZE);
    if (h->memory) munmap(h->memory, h->size * BUFFERS);
    h->memory = NULL;
    h->queued = 0;
    h->buffers = r->count > BUFFERS ? BUFFERS : r->count;
    r->count = h->buffers;
    if (!h->buffers) return 0;
    fill(&h->camera, &pix);
    h->size = (pix.sizeimage + page - 1) / page * page;
    if (ftruncate(h->fd, h->size * BUFFERS)) return ENOMEM;
    h->memory = mmap(NULL, h->size * BUFFERS, PROT_READ | PROT_WRITE, MAP_SHARED, h->fd, 0);
    return h->memory == MAP_FAILED ? ENOMEM : 0;
}

/* The answer to a request: 0 or an error number. */
static int answer(struct handle *h, unsigned long request, void *arg) {
    struct camera *c = &h->camera;
    if (!plugged_in(h)) return ENODEV;
    switch ((uint32_t)request) {
    case VIDIOC_QUERYCAP: {
        struct v4l2_capability *cap = arg;
        memset(cap, 0, sizeof *cap);
        memcpy(cap->driver, c->driver, sizeof cap->driver);
        memcpy(cap->card, c->card, sizeof cap->card);
        memcpy(cap->bus_info, c->bus, sizeof cap->bus_info);
        cap->capabilities = c->caps | V4L2_CAP_DEVICE_CAPS;
        cap->device_caps = c->caps;
        return 0;
    }
    case VIDIOC_ENUM_FMT: {
        struct v4l2_fmtdesc *d = arg;
        uint32_t seen = 0, index = d->index;
        for (int i = 0; i < c->count; i++) {
            int again = 0;
            for (int j = 0; j < i; j++) again |= c->modes[j].code == c->modes[i].code;
            if (again || seen++ != index) continue;
            d->flags = is_jpeg(c->modes[i].code) ? V4L2_FMT_FLAG_COMPRESSED : 0;
            d->pixelformat = c->modes[i].code;
            memcpy(d->description, &c->modes[i].code, 4);
            return 0;
        }
        return EINVAL;
    }
    case VIDIOC_ENUM_FRAMESIZES: {
        struct v4l2_frmsizeenum *s = arg;
        uint32_t seen = 0;
        for (int i = 0; i < c->count; i++) {
            if (c->modes[i].code != s->pixel_format || seen++ != s->index) continue;
            s->type = V4L2_FRMSIZE_TYPE_DISCRETE;
            s->discrete.width = c->modes[i].width;
            s->discrete.height = c->modes[i].height;
            return 0;
        }
        return EINVAL;
    }
    case VIDIOC_ENUM_FRAMEINTERVALS: {
        struct v4l2_frmivalenum *v = arg;
        for (int i = 0; i < c->count; i++) {
            const struct mode *m = &c->modes[i];
            if (m->code != v->pixel_format || m->width != v->width || m->height != v->height) continue;
            if (v->index >= (uint32_t)m->intervals) return EINVAL;
            v->type = V4L2_FRMIVAL_TYPE_DISCRETE;
            v->discrete = m->interval[v->index];
            return 0;
        }
        return EINVAL;
    }
    case VIDIOC_S_FMT: {
        const struct v4l2_pix_format *pix = &((struct v4l2_format *)arg)->fmt.pix;
        if (h->buffers) return EBUSY;
        choose(c, pix->pixelformat, pix->width, pix->height);
    } /* fallthrough */
    case VIDIOC_G_FMT:
        fill(c, &((struct v4l2_format *)arg)->fmt.pix);
        return 0;
    case VIDIOC_S_PARM: {
        const struct v4l2_fract *f = &((struct v4l2_streamparm *)arg)->parm.capture.timeperframe;
        if (f->numerator && f->denominator) c->now.interval[0] = *f;
    } /* fallthrough */
    case VIDIOC_G_PARM: {
        struct v4l2_captureparm *p = &((struct v4l2_streamparm *)arg)->parm.capture;
        memset(p, 0, sizeof *p);
        p->capability = V4L2_CAP_TIMEPERFRAME;
        p->timeperframe = c->now.interval[0];
        return 0;
    }
    case VIDIOC_REQBUFS:
        return request_buffers(h, arg);
    case VIDIOC_QUERYBUF: {
        struct v4l2_buffer *b = arg;
        if (b->index >= (uint32_t)h->buffers) return EINVAL;
        b->length = h->size;
        b->m.offset = b->index * h->size;
        return 0;
    }
    case VIDIOC_QBUF: {
        struct v4l2_buffer *b = arg;
        if (b->index >= (uint32_t)h->buffers) return EINVAL;
        for (int i = 0; i < h->queued; i++)
            if (h->queue[i] == (int)b->index) return EINVAL;
        h->queue[h->queued++] = b->index;
        return 0;
    }
    case VIDIOC_DQBUF:
        return dequeue(h, arg);
    case VIDIOC_STREAMON:
        h->streaming = 1;
        h->sequence = 0;
        h->due = now_us() + interval_us(c);
        return 0;
    case VIDIOC_STREAMOFF:
        h->streaming = 0;
        h->queued = 0;
        return 0;
    default:
        return ENOTTY;
    }
}

static int do_ioctl(struct handle *h, unsigned long request, void *arg) {
    int error = answer(h, request, arg);
    if (!error) return 0;
    errno = error;
    return -1;
}

int ioctl(int fd, unsigned long request, ...) {
    va_list list;
    va_start(list, request);
    void *arg = va_arg(list, void *);
    va_end(list);
    struct handle *h = of(fd);
    return h ? do_ioctl(h, request, arg) : REAL(ioctl)(fd, request, arg);
}

/* Some callers go round ioctl(). */
long syscall(long number, ...) {
    static long (*real)(long, ...);
    va_list list;
    va_start(list, number);
    long a[6];
    for (int i = 0; i < 6; i++) a[i] = va_arg(list, long);
    va_end(list);
    struct handle *h = number == SYS_ioctl ? of((int)a[0]) : NULL;
    if (h) return do_ioctl(h, (unsigned long)a[1], (void *)a[2]);
    if (!real) real = REAL(syscall);
    return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int poll(struct pollfd *fds, nfds_t count, int timeout) {
    struct handle *h = count == 1 ? of(fds[0].fd) : NULL;
    if (!h) return REAL(poll)(fds, count, timeout);
    int64_t until = now_us() + (int64_t)timeout * 1000;
    for (;;) {
        fds[0].revents = 0;
        if (!plugged_in(h) || !h->streaming) fds[0].revents = POLLERR | POLLHUP;
        else if (ready(h)) fds[0].revents = POLLIN | POLLRDNORM;
        if (fds[0].revents) return 1;
        if (timeout >= 0 && now_us() >= until) return 0;
        usleep(1000);
    }
}

int close(int fd) {
    struct handle *h = of(fd);
    if (h) {
        if (h->memory) munmap(h->memory, h->size * BUFFERS);
        h->used = 0;
    }
    return REAL(close)(fd);
}

static int open_any(int (*real)(int, const char *, int, ...), int folder, const char *path, int flags, mode_t mode) {
    char out[512];
    int number;
    if (root() && path && sscanf(path, "/dev/video%d", &number) == 1) return open_camera(number);
    return real(folder, where(path, out, sizeof out), flags, mode);
}

#define MODE_OF(flags, mode) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | __O_TMPFILE)) { \
        va_list list; \
        va_start(list, flags); \
        mode = va_arg(list, mode_t); \
        va_end(list); \
    }

int open(const char *path, int flags, ...) {
    MODE_OF(flags, mode)
    return open_any(REAL(openat), AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    MODE_OF(flags, mode)
    return open_any(REAL(openat64), AT_FDCWD, path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...) {
    MODE_OF(flags, mode)
    return open_any(REAL(openat), folder, path, flags, mode);
}

int openat64(int folder, const char *path, int flags, ...) {
    MODE_OF(flags, mode)
    return open_any(REAL(openat64), folder, path, flags, mode);
}

DIR *opendir(const char *path) {
    char out[512];
    if (root() && !strcmp(path, "/dev")) {
        snprintf(out, sizeof out, "%s/dev", root());
        return REAL(opendir)(out);
    }
    return REAL(opendir)(where(path, out, sizeof out));
}

char *realpath(const char *path, char *resolved) {
    char out[512];
    const char *real = where(path, out, sizeof out);
    char *result = REAL(realpath)(real, resolved);
    if (result && real != path && begins(result, root())) memmove(result, result + strlen(root()), strlen(result + strlen(root())) + 1);
    return result;
}
