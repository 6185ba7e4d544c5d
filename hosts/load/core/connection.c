#define _GNU_SOURCE
#include "connection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_SIZE = 16 << 10 };

bool bytes_reserve(struct bytes *b, size_t more) {
    if (b->start == b->end) b->start = b->end = 0;
    if (b->room - b->end >= more) return true;
    if (b->start) {
        memmove(b->data, b->data + b->start, b->end - b->start);
        b->end -= b->start;
        b->start = 0;
    }
    size_t room = b->room ? b->room : 2 * READ_SIZE;
    while (room - b->end < more) room *= 2;
    if (room == b->room) return true;
    uint8_t *data = realloc(b->data, room);
    if (!data) return false;
    b->data = data;
    b->room = room;
    return true;
}

bool bytes_add(struct bytes *b, const void *data, size_t length) {
    if (!bytes_reserve(b, length)) return false;
    memcpy(b->data + b->end, data, length);
    b->end += length;
    return true;
}

static void watch(struct connection *c, int epoll, int how, bool writable) {
    struct epoll_event event = {.events = EPOLLIN | (writable ? EPOLLOUT : 0), .data.ptr = c};
    c->blocked = writable;
    epoll_ctl(epoll, how, c->fd, &event);
}

bool connection_open(struct connection *c, int epoll, uint32_t address, uint16_t port) {
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) return false;
    int on = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(address);
    c->connecting = true;
    c->queued = c->written = 0;
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) {
        connection_close(c);
        return false;
    }
    watch(c, epoll, EPOLL_CTL_ADD, true);
    return true;
}

void connection_close(struct connection *c) {
    if (c->fd >= 0) close(c->fd);
    free(c->in.data);
    free(c->out.data);
    c->fd = -1;
    c->in = c->out = (struct bytes){0};
}

bool connection_write(struct connection *c, int epoll) {
    while (c->out.start < c->out.end) {
        ssize_t sent = send(c->fd, c->out.data + c->out.start, c->out.end - c->out.start,
                            MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0 && errno != EAGAIN) return false;
        if (sent < 0) break;
        c->out.start += (size_t)sent;
        c->written += (uint64_t)sent;
    }
    bool full = c->out.start < c->out.end;
    if (full != c->blocked) watch(c, epoll, EPOLL_CTL_MOD, full);
    return true;
}

bool connection_read(struct connection *c, bool *more) {
    *more = false;
    if (!bytes_reserve(&c->in, READ_SIZE)) return false;
    size_t room = c->in.room - c->in.end;
    ssize_t got = recv(c->fd, c->in.data + c->in.end, room, 0);
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    c->in.end += (size_t)got;
    *more = (size_t)got == room;
    return got > 0;
}
