/* The protocol of online learning: two learners on one chain, a person who rolls back, updaters, replicas, and a promotion, each
 * of which may be delayed or killed at any step. hack/check_protocol.py has spin look at every order in which that can happen;
 * docs/protocol.md says what is shown, and what is left out.
 *
 * Sets of events are bits. Macros named WITHOUT_... take one care away each; the check must then find the harm.
 */

#define EVENTS 3
#define BATCH 2
#define MOST 5
#define ALL 7               /* EVENTS ones */
#define one(e) (1 << ((e) - 1))
#define upto(e) ((1 << (e)) - 1)
#ifdef PROMOTION
#define WATCHED 1           /* the version whose updater and replica are looked at */
#define CRASHES 1
#else
#define WATCHED 0
#define CRASHES 1
#endif
#define at(v, n) ((v) * (MOST + 1) + (n))

typedef Entry {
  byte offset;              /* of the last record that was read */
  byte border;              /* where its batch began: who begins anew goes on from there */
  byte base;                /* what was learned up to there */
  byte served               /* the same, and what lies ahead of it: what predictors get */
}

Entry chain[12];            /* of version 0, then of version 1; entry 0 is the version as it was trained */
byte head[2];
byte logged;                /* records of the event log */
byte undone;                /* what a rollback took away, on purpose */
byte crashes = CRASHES;
bool promoted;              /* version 1 serves */
bool begun;                 /* version 1 is trained, and its chain has begun */
byte pointer[2];            /* what each updater has brought to its predictors */
byte replica[2];            /* what each replica answers with */

#define append(v, offset_, border_, base_, served_) \
  chain[at(v, head[v] + 1)].offset = offset_; \
  chain[at(v, head[v] + 1)].border = border_; \
  chain[at(v, head[v] + 1)].base = base_; \
  chain[at(v, head[v] + 1)].served = served_; \
  head[v]++

proctype Shoppers()
{
end:
  do
  :: atomic { logged < EVENTS -> logged++ }
  od
}

proctype Learner(byte v)
{
  byte known, offset, border, base, ahead;

again:
  atomic {
    (v == 0 || begun);
    known = head[v];        /* catches up: what it had in memory is gone */
    border = chain[at(v, known)].border;
    base = chain[at(v, known)].base;
#ifdef WITHOUT_BORDERS
    border = chain[at(v, known)].offset;  /* goes on behind what was read, with the rows from before the batch */
#endif
    offset = border;
    ahead = 0
  }
end:
  do
  :: atomic {               /* reads one record */
       offset < logged ->
       offset++;
       assert(((base | ahead) & one(offset)) == 0);                          /* none is applied twice */
       ahead = ahead | one(offset);
       if
       :: offset % BATCH == 0 -> base = base | ahead; ahead = 0; border = offset
       :: else
       fi
     }
  :: atomic { offset > chain[at(v, known)].offset -> skip };                 /* writes the rows aside, ... */
     atomic {                                                                /* ... then the entry, if nobody else did */
       if
#ifdef WITHOUT_FENCE
       :: head[v] < MOST ->
#else
       :: head[v] == known && head[v] < MOST ->
#endif
          assert(offset >= chain[at(v, head[v])].offset);
          /* no commit is lost, and a rollback wins: all that stood stands, and only what came after it is new */
          assert((base | ahead) == (chain[at(v, head[v])].served | (upto(offset) & ~upto(chain[at(v, head[v])].offset))));
          append(v, offset, border, base, base | ahead);
          known = head[v]
       :: else -> goto again                                                 /* its own work is thrown away */
       fi
     }
  :: atomic { head[v] != known -> goto again }                               /* sees what others wrote */
  :: atomic { crashes > 0 -> crashes--; goto again }
  od
}

proctype Person()           /* goes back to what was served at some commit, once */
{
  byte seen, to;

look:
  atomic {
    seen = head[0];
    to = 0;
    do
    :: to < seen -> to++
    :: break
    od
  }
  atomic {
    if
    :: head[0] == seen && seen < MOST ->
       undone = chain[at(0, seen)].served & ~chain[at(0, to)].served;
       append(0, chain[at(0, seen)].offset, chain[at(0, seen)].offset, chain[at(0, to)].served, chain[at(0, to)].served)
    :: else -> goto look
    fi
  }
}

proctype Promotion()        /* a new version, trained on what was logged so far; its learner catches up, then it serves */
{
  byte cut;

  atomic {
    cut = logged;
    chain[at(1, 0)].offset = cut;
    chain[at(1, 0)].border = cut;
    chain[at(1, 0)].base = upto(cut);
    chain[at(1, 0)].served = upto(cut);
    begun = true
  }
  atomic {
#ifndef WITHOUT_CATCHING_UP
    chain[at(1, head[1])].offset >= chain[at(0, head[0])].offset ->
#endif
    promoted = true;
    /* nothing that was in an answer leaves the answers by a promotion */
    assert((chain[at(0, head[0])].served & ~chain[at(1, head[1])].served) == 0)
  }
}

proctype Updater(byte v)
{
  byte found;

again:
  found = 0;
end:
  do
  :: atomic { head[v] != pointer[v] -> found = head[v] };                    /* reads the chain, ... */
#ifdef WITHOUT_WAITING
     found++;                                                                /* (or guesses what comes) */
#endif
     if
     :: skip                                                                 /* ... writes aside, ... */
     :: atomic { crashes > 0 -> crashes--; goto again }
     fi;
     atomic {                                                                /* ... and moves the pointer last */
       assert(found >= pointer[v]);
       pointer[v] = found;
       found = 0
     }
  od
}

proctype Replica(byte v)
{
end:
  do
  :: atomic { replica[v] != pointer[v] -> replica[v] = pointer[v] };
     assert(replica[v] <= head[v])                                           /* no replica is ahead of the chain */
  od
}

proctype Rest()             /* when nothing can happen any more */
{
end:
  atomic {
    timeout ->
    assert(chain[at(0, head[0])].offset == EVENTS);
    assert((chain[at(0, head[0])].served | undone) == ALL);                  /* no event is lost but by a rollback */
#ifdef PROMOTION
    assert(promoted && chain[at(1, head[1])].served == ALL);
#endif
    assert(replica[WATCHED] == head[WATCHED])                                /* they agree */
  }
}

init
{
  atomic {
    run Shoppers();
    run Learner(0);
    run Person();
#ifdef PROMOTION
    run Learner(1);
    run Promotion();
#else
    run Learner(0);
#endif
    run Updater(WATCHED);
    run Replica(WATCHED);
    run Rest()
  }
}
