/* SPDX-License-Identifier: MIT */
/* core.pml -- live copy of one table: fake replica (binlog stream) + chunk copier.
 * README.md beside it says how to read it and which rule is which switch and which place in src/.
 *
 * One process, a loop of guarded atomic actions; kill -9 may strike between any
 * two of them.  The binlog is a sliding window of at most W transactions: one that
 * is recorded on the source and can never be asked for again is folded into the
 * base state (fold()).  So the NUMBER of transactions, crashes and restarts is
 * unbounded; what is bounded is how many transactions lie between the oldest
 * position still needed and the binlog end.
 *
 * "calm" = writer stopped, nothing crashes any more.  A calm state in which nothing
 * can happen and which is not DONE is reported by spin as an invalid end state
 * (= the copy cannot finish).
 */
/* CODE = what src/ does today: the stream's items commit in order, chunks when they are ready; a chunk claims the
   keys and unique values of all rows that it read, those dropped later included; windows may be thrown. */
#ifdef CODE
#ifndef OOO
#define OOO 3
#endif
#define CHREAD
#define THROW
#ifndef STAGE
#define STAGE 2
#endif
#endif
/* ------------------------------------------------------------------ sizes */
#ifndef K
#define K 2          /* keys 0..K-1 (2 or 3) */
#endif
#ifndef V
#define V 2          /* row values 1..V, 0 = ABSENT; with UNIQ the value IS the unique column */
#endif
#ifndef W
#define W 2          /* binlog window */
#endif
#ifndef NW
#define NW 2         /* parallel writers on the target */
#endif
#ifndef LAYOUT
#define LAYOUT 2     /* 1: all keys in one chunk; 2: one key per chunk; 3: {0},{1,2} */
#endif
/* ------------------------------------------------------- rules and variants
 * UNORD      engine commits in any order (binlog_order_commits=OFF)
 * READ       0 snapshot + gtid_executed            (MySQL with GTID)
 *            1 locking read, row by row, no GTID    (MySQL without GTID)
 *            2 snapshot whose position is known     (MariaDB)
 *            3 as 0, but rows read one by one at different times
 * HMODE      2 H = binlog end, 1 H = gtid_executed
 * WINP0      with READ 1: window starts at the binlog end before the read, not at A
 * PARCOPY    chunks are copied concurrently
 * -- rules removed (default: all rules on)
 * NOWAITEXEC no wait for EXEC >= A_w               NOLOCKWAIT read does not wait for row locks
 * NOPCHECK   snapshot position may be < A_w        NOWAITH    no wait for A >= H
 * HBEFORE    H read before the rows                NODROP     touched rows not dropped
 * AFTERONLY  window ignores the before key of a key move
 * WINLATE    recording starts at the read          WINEND     recording stops when A = H
 * SPLITDROP  drop and enqueue not atomic           STALESNAP  snapshot older than the window
 * CONF       4 keys+unique values, before+after images; 3 keys b+a, unique values of after
 *            images; 2 keys b+a only; 1 after images only; 0 no ordering
 * CHNOCONF   chunks not ordered against events     ANYSTART   writers not handed out in order
 * CHDROPCONF chunk claims every key of its piece of the key space, whether it has read a row there or not
 * CHREAD     chunk claims the keys (and unique values) of the rows it has read, dropped ones included
 * RANGE      all chunks belong to one range whose frontier is ONE key: a chunk's commit says that all before it
 *            are copied too.  Several windows of it may be open; they are merged in order, and chunks of a range
 *            claim the range, so they commit in order.  NORANGE removes that claim
 * THROW      the merger may throw a window (memory, ROLLBACK, DDL) and with it all later ones of its range
 * STAGE      which states must be exact: unset: all; 1: those where every chunk is committed; 2: those where also
 *            the marker has passed what was scheduled at the last merge and the binlog end at the start ("streaming")
 * ONCE       no transaction is applied twice (a repetition harms where rows have no key)
 * OOO        0 commit in order; 1 any order, marker = own position; 2 any order, marker =
 *            low-water mark; 3 events in order, chunks may overtake
 * CKPT       1 no marker on target, local file written now and then; 2 same, file may run ahead;
 *            3 as 1, position and set of copied chunks saved at different times
 * FRONTEARLY frontier committed before the rows    NOINITPOS  start position not stored first
 * TCRASH     target may lose a suffix of commits; 1 process restarts from the marker;
 *            2 process reconnects and goes on
 * ORPHAN     1 a COMMIT in flight at the kill may still land; 2 a whole transaction may
 * CONNLOST   (with ORPHAN) the process also loses single connections, outcome unknown, and
 *            retries the transaction on a new connection
 * FENCE      0 marker read plainly at start; 1 read with a lock; 2 + each transaction checks
 *            the generation of the process; 3 + each transaction checks that nothing was
 *            committed since it was built (sequence number), else start again from the marker
 * UNIQ       unique secondary column               COLLAT_OK  REPLACE may delete another row
 * RETRY      head of the commit order rolls back a later writer that blocks it
 * INEXACT    check only the final state, not "target == source at marker"
 * PAIRS      2 transactions may change any two rows, 1 only key moves, 0 one row only
 * PRECOPIED  start with everything copied (to look at the apply part alone, larger W)
 * -- abstractions for big runs (each only ADDS behaviours for the safety check)
 * MERGEREC   recorded together with engine commit (sound when H = binlog end)
 * MERGEH     H taken in the instant of the read
 * FUSE       target transaction executes and commits in one step (in-order only)
 */
#ifndef READ
#define READ 0
#endif
#ifndef HMODE
#define HMODE 2
#endif
#ifndef CONF
#define CONF 4
#endif
#ifndef OOO
#define OOO 0
#endif
#ifndef CKPT
#define CKPT 0
#endif
#ifndef TCRASH
#define TCRASH 0
#endif
#ifndef ORPHAN
#define ORPHAN 0
#endif
#ifndef FENCE
#define FENCE 0
#endif
#ifndef STAGE
#define STAGE 0
#endif
#if (CKPT || OOO==1 || OOO==2) && !defined(INEXACT)
#define INEXACT
#endif

#define BIT(k)  (1<<(k))
#define FULLK   (BIT(K)-1)
#define S(p,k)  s[(p)*K+(k)]
#define CHB     16
#if LAYOUT==1
#define NCH 1
#define CHK(k) 0
#define KEYS(c) FULLK
#elif LAYOUT==2
#define NCH K
#define CHK(k) (k)
#define KEYS(c) BIT(c)
#else
#define NCH 2
#define CHK(k) (((k)+1)/2)
#define KEYS(c) ((c)==0 -> 1 : 6)
#endif
#define QL (W+NCH)
#ifdef RANGE
#define COPIED(c) (2*BIT(c)-1)
#else
#define COPIED(c) BIT(c)
#endif
#define RANGECLAIM 128

/* ------------------------------------------------------------------ source */
byte s[(W+1)*K];      /* S(p,k): row k of the source after binlog position p */
byte n;               /* binlog end */
byte em[W];           /* keys changed by transaction i+1 */
#ifdef UNIQ
byte eb[W], ea[W];    /* unique values in its before / after images */
#endif
byte st[W];           /* 1 binlogged, 2 engine-committed, 3 also in gtid_executed */
/* ---------------------------------------------------------- process memory */
bit  up, started, calm;
byte A;               /* scheduled prefix of the binlog */
byte qn, qi[QL], qs[QL], qm[QL];  /* queue: item, 0 waiting 1 executing 2 committed, conflict mask */
byte pc[NCH];         /* chunk: 0 idle 1 window open 2 rows read 3 H known 4 dispatched */
byte Aw[NCH], H[NCH], touched, rdm, crow[K];
#ifdef CHREAD
byte cval[K];                     /* what was read, dropped later or not */
#define CVAL(kk,v) cval[kk]=v;
#else
#define CVAL(kk,v)
#endif
#if STAGE==2
byte sp;                          /* the marker must have passed this before the stage is "streaming"; 0 = it has */
#define NORMSP if :: sp<=mpos -> sp=0 :: else fi;
#define STREAMING (tfront==BIT(NCH)-1 && sp==0)
#elif STAGE==1
#define NORMSP
#define STREAMING (tfront==BIT(NCH)-1)
#else
#define NORMSP
#define STREAMING true
#endif
#if CONF!=4 || defined(CHNOCONF) || (defined(UNIQ) && defined(COLLAT_OK))
byte qd[QL];          /* locks the target takes itself, where they differ from qm */
#define QD(j) qd[j]
#define SETD(j,m) qd[j]=m;
#define SEPD
#else
#define QD(j) qm[j]
#define SETD(j,m)
#endif
/* ------------------------------------------------------------------ target */
byte tgt[K], mpos, tfront;   /* rows, marker position, set of copied chunks */
byte gm;                     /* ghost: not-copied keys that events have touched */
#if TCRASH
byte dt[K], dpos, dfront, dgm;   /* what the target would come back with */
#endif
#if CKPT
byte cpos, cfront;           /* local file */
#endif
#ifdef NOINITPOS
bit mset;
#endif
#if ORPHAN
byte ofl, orow[K], opos, ofr, omask;
bit ostale, reread;
#endif
byte i, k, x, y, z, t;       /* scratch, zero between actions */
#define CLR i=0; k=0; x=0; y=0; z=0; t=0

/* ------------------------------------------------------ index-list macros */
#if W==1
#define WAND(m) (m(0))
#define WOR(m)  (m(0))
#define WACT(m) m(0)
#elif W==2
#define WAND(m) (m(0)&&m(1))
#define WOR(m)  (m(0)|m(1))
#define WACT(m) m(0) m(1)
#elif W==3
#define WAND(m) (m(0)&&m(1)&&m(2))
#define WOR(m)  (m(0)|m(1)|m(2))
#define WACT(m) m(0) m(1) m(2)
#else
#define WAND(m) (m(0)&&m(1)&&m(2)&&m(3))
#define WOR(m)  (m(0)|m(1)|m(2)|m(3))
#define WACT(m) m(0) m(1) m(2) m(3)
#endif
#if QL==2
#define QACT(m) m(0) m(1)
#define QOR(m)  (m(0)|m(1))
#define QSUM(m) (m(0)+m(1))
#elif QL==3
#define QACT(m) m(0) m(1) m(2)
#define QOR(m)  (m(0)|m(1)|m(2))
#define QSUM(m) (m(0)+m(1)+m(2))
#elif QL==4
#define QACT(m) m(0) m(1) m(2) m(3)
#define QOR(m)  (m(0)|m(1)|m(2)|m(3))
#define QSUM(m) (m(0)+m(1)+m(2)+m(3))
#elif QL==5
#define QACT(m) m(0) m(1) m(2) m(3) m(4)
#define QOR(m)  (m(0)|m(1)|m(2)|m(3)|m(4))
#define QSUM(m) (m(0)+m(1)+m(2)+m(3)+m(4))
#elif QL==6
#define QACT(m) m(0) m(1) m(2) m(3) m(4) m(5)
#define QOR(m)  (m(0)|m(1)|m(2)|m(3)|m(4)|m(5))
#define QSUM(m) (m(0)+m(1)+m(2)+m(3)+m(4)+m(5))
#else
#define QACT(m) m(0) m(1) m(2) m(3) m(4) m(5) m(6)
#define QOR(m)  (m(0)|m(1)|m(2)|m(3)|m(4)|m(5)|m(6))
#define QSUM(m) (m(0)+m(1)+m(2)+m(3)+m(4)+m(5)+m(6))
#endif
#if NCH==1
#define CACT(m) m(0)
#define CAND(m) (m(0))
#elif NCH==2
#define CACT(m) m(0) m(1)
#define CAND(m) (m(0)&&m(1))
#else
#define CACT(m) m(0) m(1) m(2)
#define CAND(m) (m(0)&&m(1)&&m(2))
#endif
#define EARL0 0
#define EARL1 (qm[0])
#define EARL2 (qm[0]|qm[1])
#define EARL3 (EARL2|qm[2])
#define EARL4 (EARL3|qm[3])
#define EARL5 (EARL4|qm[4])
#define EARL6 (EARL5|qm[5])

/* a transaction holds its row (and unique-entry) locks until its engine commit */
#define LK(i)   ((st[i]==1)*em[i])
#define LOCKED  WOR(LK)
#ifdef UNIQ
#define UV(v)   ((v)==0 -> 0 : (1<<((v)-1)))
#define KSH(m)  ((m)<<K)
#define ULK(i)  ((st[i]==1)*(eb[i]|ea[i]))
#define ULOCKED WOR(ULK)
#define ULEGAL(v) !(ULOCKED & UV(v))
#if K==2
#define FREE(v,m) ( (v)==0 || ( (((m)&1)||S(n,0)!=(v)) && (((m)&2)||S(n,1)!=(v)) ) )
#else
#define FREE(v,m) ( (v)==0 || ( (((m)&1)||S(n,0)!=(v)) && (((m)&2)||S(n,1)!=(v)) && (((m)&4)||S(n,2)!=(v)) ) )
#endif
#define DIFF(a,b) ((a)==0 || (a)!=(b))
#else
#define ULEGAL(v) true
#define FREE(v,m) true
#define DIFF(a,b) true
#endif

inline dec(v) { if :: v>0 -> v-- :: else fi }
#if TCRASH && CKPT
#define FOLDX (dpos>0 && cpos>0)
#elif TCRASH
#define FOLDX (dpos>0)
#elif CKPT
#define FOLDX (cpos>0)
#elif OOO==1 || ORPHAN
#define FOLDX (t==0)
#else
#define FOLDX true
#endif
#if OOO==1 || ORPHAN
inline t1busy() { t=0; for (i : 0 .. QL-1) { if :: qi[i]==1 -> t=1 :: else fi } }
#define FOLD t1busy(); fold()
#else
#define FOLD fold()
#endif
/* forget binlog transactions that nobody can need again */
inline fold() {
  do
  :: n>0 && st[0]==3 && (!started || (mpos>0 && (A>0 || !up) && FOLDX)) ->
     for (i : 0 .. W*K-1)       { s[i]=s[i+K] }
     for (i : W*K .. (W+1)*K-1) { s[i]=0 }
     for (i : 0 .. W-2) { em[i]=em[i+1]; st[i]=st[i+1] }
     em[W-1]=0; st[W-1]=0;
#ifdef UNIQ
     for (i : 0 .. W-2) { eb[i]=eb[i+1]; ea[i]=ea[i+1] }
     eb[W-1]=0; ea[W-1]=0;
#endif
     n--;
     if
     :: started ->
        mpos--; dec(A);
#if STAGE==2
        dec(sp);
#endif
        for (i : 0 .. NCH-1) { dec(Aw[i]); dec(H[i]) }
        for (i : 0 .. QL-1) { if :: qi[i]>0 && qi[i]<CHB -> assert(qi[i]>1); qi[i]-- :: else fi }
#if TCRASH
        dpos--;
#endif
#if CKPT
        cpos--;
#endif
#if ORPHAN
        if :: ofl>0 && ofr==0 -> if :: opos>0 && opos<100 -> opos-- :: else opos=100 fi :: else fi
#endif
     :: else
     fi;
#if OOO==1 || ORPHAN
     t1busy();
#endif
  :: else -> break
  od;
  skip
}

/* ---------------------------------------------------------- the properties */
inline check_exact() {
  skip;
#ifndef INEXACT
  if
  :: STREAMING ->
     for (k : 0 .. K-1) {
       if
       :: (tfront & BIT(CHK(k))) || (gm & BIT(k)) -> assert(tgt[k]==S(mpos,k))
       :: else -> assert(tgt[k]==0)
       fi
     }
  :: else
  fi;
#endif
}
inline check_final() { for (k : 0 .. K-1) { assert(tgt[k]==S(n,k)) } }

/* --------------------------------------------------------------- target ops */
inline put(kk,vv) {                    /* REPLACE */
#ifdef UNIQ
  for (i : 0 .. K-1) {
    if
    :: vv!=0 && i!=kk && tgt[i]==vv ->
#ifndef COLLAT_OK
       assert(false);                  /* would silently delete another row */
#endif
       tgt[i]=0
    :: else
    fi
  }
#endif
  tgt[kk]=vv
}
inline normgm() { for (k : 0 .. K-1) { if :: tfront & BIT(CHK(k)) -> gm = gm & (255-BIT(k)) :: else fi } }
inline apply(item) {
  if
  :: item<CHB ->
     z=item;
     for (k : 0 .. K-1) { if :: em[z-1]&BIT(k) -> tgt[k]=0 :: else fi }
     for (k : 0 .. K-1) { if :: em[z-1]&BIT(k) -> put(k,S(z,k)) :: else fi }
     gm = gm | em[z-1]
  :: else ->
     z=item-CHB;
     for (k : 0 .. K-1) { if :: CHK(k)==z && crow[k]!=0 -> put(k,crow[k]); crow[k]=0 :: else fi }
     tfront = tfront | COPIED(z)
  fi;
  normgm()
}

/* ------------------------------------------------------------------- source */
inline newtx(m) {
  em[n]=m; st[n]=1;
#ifdef UNIQ
  for (k : 0 .. K-1) { if :: m&BIT(k) -> eb[n]=eb[n]|UV(S(n,k)); ea[n]=ea[n]|UV(S(n+1,k)) :: else fi }
#endif
  n++;
  printf("ACT BINLOG t%d keys=%d -> source %d %d\n", n, m, S(n,0), S(n,1))
}
inline cprow() { for (k : 0 .. K-1) { S(n+1,k)=S(n,k) } }
#define TX1(a,v) :: d_step { !calm && n<W && !(LOCKED&BIT(a)) && (v!=0 || S(n,a)!=0) && ULEGAL(v) && FREE(v,BIT(a)) -> \
   cprow(); S(n+1,a)=v; newtx(BIT(a)); CLR }
#define TX2(a,v,b,w) :: d_step { !calm && n<W && !(LOCKED&(BIT(a)|BIT(b))) && (v!=0 || S(n,a)!=0) && (w!=0 || S(n,b)!=0) \
     && ULEGAL(v) && ULEGAL(w) && FREE(v,(BIT(a)|BIT(b))) && FREE(w,(BIT(a)|BIT(b))) && DIFF(v,w) -> \
   cprow(); S(n+1,a)=v; S(n+1,b)=w; newtx(BIT(a)|BIT(b)); CLR }
#if V==1
#define TXK(a) TX1(a,0) TX1(a,1)
#define TXP2(a,v,b) TX2(a,v,b,0) TX2(a,v,b,1)
#define TXP(a,b) TXP2(a,0,b) TXP2(a,1,b)
#elif V==2
#define TXK(a) TX1(a,0) TX1(a,1) TX1(a,2)
#define TXP2(a,v,b) TX2(a,v,b,0) TX2(a,v,b,1) TX2(a,v,b,2)
#define TXP(a,b) TXP2(a,0,b) TXP2(a,1,b) TXP2(a,2,b)
#else
#define TXK(a) TX1(a,0) TX1(a,1) TX1(a,2) TX1(a,3)
#define TXP2(a,v,b) TX2(a,v,b,0) TX2(a,v,b,1) TX2(a,v,b,2) TX2(a,v,b,3)
#define TXP(a,b) TXP2(a,0,b) TXP2(a,1,b) TXP2(a,2,b) TXP2(a,3,b)
#endif
/* PAIRS 2: any transaction changing two rows; 1: only key moves; 0: single rows only */
#ifndef PAIRS
#define PAIRS 2
#endif
#if PAIRS==1
#undef TXP
#if V==1
#define TXP(a,b) TX2(a,0,b,1) TX2(a,1,b,0)
#elif V==2
#define TXP(a,b) TX2(a,0,b,1) TX2(a,0,b,2) TX2(a,1,b,0) TX2(a,2,b,0)
#else
#define TXP(a,b) TX2(a,0,b,1) TX2(a,0,b,2) TX2(a,0,b,3) TX2(a,1,b,0) TX2(a,2,b,0) TX2(a,3,b,0)
#endif
#endif
#if K==2
#define TXALL TXK(0) TXK(1)
#define TXPAIRS TXP(0,1)
#else
#define TXALL TXK(0) TXK(1) TXK(2)
#define TXPAIRS TXP(0,1) TXP(0,2) TXP(1,2)
#endif

#ifdef UNORD
#define PREVC(i) true
#define PREVR(i) true
#else
#define PREVC(i) ((i)==0 || st[((i)+W-1)%W]>=2)
#define PREVR(i) ((i)==0 || st[((i)+W-1)%W]==3)
#endif
#ifdef MERGEREC
#define ECOM(i) :: d_step { i<n && st[i]==1 && PREVC(i) -> st[i]=3; printf("ACT ENGINE-COMMIT+RECORD t%d\n", i+1); FOLD; CLR }
#define RECO(i)
#else
#define ECOM(i) :: d_step { i<n && st[i]==1 && PREVC(i) -> st[i]=2; printf("ACT ENGINE-COMMIT t%d\n", i+1); CLR }
#define RECO(i) :: d_step { i<n && st[i]==2 && PREVR(i) -> st[i]=3; printf("ACT RECORDED t%d\n", i+1); FOLD; CLR }
#endif

/* ------------------------------------------------------- stream, scheduler */
#ifdef NODROP
#define REC(c) 0
#elif defined(WINEND)
#define REC(c) ((pc[c]==1 || pc[c]==2 || (pc[c]==3 && H[c]>A)) * KEYS(c))
#elif defined(WINLATE) || defined(STALESNAP)
#define REC(c) ((pc[c]==2 || pc[c]==3) * KEYS(c))
#elif defined(WINP0)
#define REC(c) ((pc[c]>=1 && pc[c]<=3 && A>=Aw[c]) * KEYS(c))
#else                                   /* SPLITDROP: state 5 = drop decided, no recording */
#define REC(c) ((pc[c]>=1 && pc[c]<=3) * KEYS(c))
#endif
#if NCH==1
#define RECMASK REC(0)
#elif NCH==2
#define RECMASK (REC(0)|REC(1))
#else
#define RECMASK (REC(0)|REC(1)|REC(2))
#endif
inline touch() {        /* event A+1: remember its keys; a row already read is dropped at once */
  x = em[A];
#ifdef AFTERONLY
  y=0;
  for (k : 0 .. K-1) { if :: (x&BIT(k)) && S(A+1,k)!=0 -> y=y|BIT(k) :: else fi }
  if :: y!=0 -> x=y :: else fi;
#endif
  x = x & RECMASK;
  for (k : 0 .. K-1) { if :: x&BIT(k) & rdm -> crow[k]=0 :: else fi }
  touched = touched | (x & (255-rdm))
}
inline evmask() {       /* event A+1 -> x mask for ordering, y locks on the target */
  x=em[A]; y=x;
#ifdef UNIQ
  y = y | KSH(eb[A]|ea[A]);
#endif
#if CONF==0
  x=0
#elif CONF==1
  x=0;
  for (k : 0 .. K-1) { if :: (em[A]&BIT(k)) && S(A+1,k)!=0 -> x=x|BIT(k) :: else fi }
  if :: x==0 -> x=em[A] :: else fi;
#ifdef UNIQ
  x = x | KSH(ea[A])
#endif
#elif CONF==3
#ifdef UNIQ
  x = x | KSH(ea[A])
#endif
#elif CONF==4
  x=y
#endif
}
inline visible(kk) {    /* -> x: row kk as a new snapshot on the source sees it */
  x=S(0,kk);
  for (i : 0 .. W-1) { if :: i<n && st[i]>=2 && (em[i]&BIT(kk)) -> x=S(i+1,kk) :: else fi }
}
inline rdrow(kk) {
  visible(kk); CVAL(kk,x)
  if :: touched&BIT(kk) -> crow[kk]=0; touched=touched&(255-BIT(kk)) :: else -> crow[kk]=x fi;
  rdm = rdm|BIT(kk)
}
inline rdchunk(c) { for (k : 0 .. K-1) { if :: KEYS(c)&BIT(k) -> rdrow(k) :: else fi } }
inline normH(c) { if :: H[c]<=A -> H[c]=0 :: else fi }
inline readH(c) {
#if HMODE==1
  H[c]=0;
  for (i : 0 .. W-1) { if :: i<n && st[i]==3 -> H[c]=i+1 :: else fi };
#else
  H[c]=n;
#endif
  normH(c)
}
inline enq(c) {         /* the chunk as a pseudo-transaction at position A */
  x=0; y=0;
  for (k : 0 .. K-1) {
    if
    :: KEYS(c)&BIT(k) ->
#ifdef CHREAD
       if
       :: cval[k]!=0 -> y=y|BIT(k);
#ifdef UNIQ
          x=x|KSH(UV(cval[k]));
#endif
          cval[k]=0
       :: else
       fi
#else
       if
       :: crow[k]!=0 -> y=y|BIT(k);
#ifdef UNIQ
          x=x|KSH(UV(crow[k]))
#endif
       :: else ->
#ifdef CHDROPCONF
          y=y|BIT(k)
#endif
          skip
       fi
#endif
    :: else
    fi
  }
#if CONF==2
  z=y; y=y|x; x=z;
#elif CONF==0
  y=y|x; x=0;
#else
  y=y|x; x=y;
#endif
#ifdef CHNOCONF
  x=0;
#endif
#if defined(RANGE) && !defined(NORANGE)
  x=x|RANGECLAIM; y=y|RANGECLAIM;
#endif
#if STAGE==2
  if :: A>mpos && A>sp -> sp=A :: else fi;
#endif
  qi[qn]=CHB+c; qm[qn]=x; SETD(qn,y) qs[qn]=0; qn++;
  pc[c]=4; rdm=rdm&(255-KEYS(c)); touched=touched&(255-KEYS(c)); Aw[c]=0; H[c]=0;
  printf("ACT CHUNK %d dispatched at A=%d with rows %d %d\n", c, A, crow[0], crow[1])
}
#ifdef NOWAITEXEC
#define GEXEC(c) true
#else
#define RECD0(i) (Aw[0]<=(i) || st[i]==3)
#define RECD1(i) (Aw[1]<=(i) || st[i]==3)
#define RECD2(i) (Aw[2]<=(i) || st[i]==3)
#define GEXEC(c) WAND(RECD##c)
#endif
#ifdef NOWAITH
#define GH(c) true
#else
#define GH(c) (H[c]==0)
#endif
#ifdef RANGE
#define MORD(c) (c==0 || pc[(c+NCH-1)%NCH]==4)
#else
#define MORD(c) true
#endif
#ifdef THROW
inline forget(c) {
  pc[c]=0; Aw[c]=0; H[c]=0; touched=touched&(255-KEYS(c)); rdm=rdm&(255-KEYS(c));
  for (k : 0 .. K-1) { if :: KEYS(c)&BIT(k) -> crow[k]=0; CVAL(k,0) skip :: else fi }
}
#ifdef RANGE
#define LATER(c) for (i : c+1 .. NCH-1) { if :: pc[i]>=1 && pc[i]<=3 -> forget(i) :: else fi }
#else
#define LATER(c)
#endif
#define THROWC(c) :: d_step { up && !calm && pc[c]>=1 && pc[c]<=3 -> forget(c); LATER(c) printf("ACT WINDOW %d thrown\n", c); CLR }
#else
#define THROWC(c)
#endif
#ifdef RANGE
#define SEQ(c) (c==0 || pc[(c+NCH-1)%NCH]>=3)
#elif defined(PARCOPY)
#define SEQ(c) true
#else
#define SEQ(c) (c==0 || pc[(c+NCH-1)%NCH]==4)
#endif
#define OPENW(c) :: d_step { up && pc[c]==0 && SEQ(c) -> Aw[c]=A; pc[c]=1; printf("ACT WINDOW %d opened at A_w=%d\n", c, A); CLR }
#define ENQ(c)   :: d_step { up && pc[c]==3 && GH(c) && MORD(c) -> enq(c); CLR }
#if READ==0 && defined(STALESNAP)
#define COPIER(c) \
  :: d_step { up && pc[c]==0 && SEQ(c) -> rdchunk(c); pc[c]=1; printf("ACT SNAPSHOT chunk %d : %d %d\n", c, crow[0], crow[1]); CLR } \
  :: d_step { up && pc[c]==1 -> Aw[c]=A; pc[c]=2; printf("ACT WINDOW %d opened at A_w=%d\n", c, A); CLR } \
  :: d_step { up && pc[c]==2 && GEXEC(c) -> readH(c); Aw[c]=0; pc[c]=3; printf("ACT READ H=%d\n", H[c]); CLR } ENQ(c)
#elif READ==0 && defined(HBEFORE)
#define COPIER(c) OPENW(c) \
  :: d_step { up && pc[c]==1 && H[c]==0 && GEXEC(c) -> H[c]=n+1; printf("ACT READ H=%d\n", n); CLR } \
  :: d_step { up && pc[c]==1 && H[c]!=0 -> rdchunk(c); Aw[c]=0; H[c]--; normH(c); pc[c]=3; printf("ACT SNAPSHOT chunk %d : %d %d\n", c, crow[0], crow[1]); CLR } ENQ(c)
#elif READ==0 && defined(SPLITDROP)
#define COPIER(c) OPENW(c) \
  :: d_step { up && pc[c]==1 && GEXEC(c) -> rdchunk(c); Aw[c]=0; pc[c]=2; printf("ACT SNAPSHOT chunk %d : %d %d\n", c, crow[0], crow[1]); CLR } \
  :: d_step { up && pc[c]==2 -> readH(c); pc[c]=3; printf("ACT READ H=%d\n", H[c]); CLR } \
  :: d_step { up && pc[c]==3 && GH(c) -> pc[c]=5; printf("ACT DROP decided\n"); CLR } \
  :: d_step { up && pc[c]==5 -> enq(c); CLR }
#elif READ==0 && defined(MERGEH)
#define COPIER(c) OPENW(c) \
  :: d_step { up && pc[c]==1 && GEXEC(c) -> rdchunk(c); readH(c); Aw[c]=0; pc[c]=3; printf("ACT SNAPSHOT chunk %d : %d %d, H=%d\n", c, crow[0], crow[1], H[c]); CLR } ENQ(c)
#elif READ==0
#define COPIER(c) OPENW(c) \
  :: d_step { up && pc[c]==1 && GEXEC(c) -> rdchunk(c); Aw[c]=0; pc[c]=2; printf("ACT SNAPSHOT chunk %d : %d %d\n", c, crow[0], crow[1]); CLR } \
  :: d_step { up && pc[c]==2 -> readH(c); pc[c]=3; printf("ACT READ H=%d\n", H[c]); CLR } ENQ(c)
#elif READ==2
/* exact snapshot: P = length of the engine-committed prefix */
#ifdef NOPCHECK
#define PCHK(c) true
#else
#define PGE0(i) (Aw[0]<=(i) || st[i]>=2)
#define PGE1(i) (Aw[1]<=(i) || st[i]>=2)
#define PGE2(i) (Aw[2]<=(i) || st[i]>=2)
#define PCHK(c) WAND(PGE##c)
#endif
inline readP(c) { z=0; do :: z<n && st[z]>=2 -> z++ :: else -> break od; H[c]=z; normH(c) }
#define COPIER(c) OPENW(c) \
  :: d_step { up && pc[c]==1 && PCHK(c) -> rdchunk(c); readP(c); Aw[c]=0; pc[c]=3; printf("ACT SNAPSHOT chunk %d at P=%d : %d %d\n", c, z, crow[0], crow[1]); CLR } ENQ(c)
#else
/* READ 1 (locking) and 3 (row by row): each row on its own, in any order */
#if READ==1
#ifdef NOLOCKWAIT
#define RDOK(c,k) true
#else
#define RDOK(c,k) (!(LOCKED&BIT(k)))
#endif
#else
#define RDOK(c,k) GEXEC(c)
#endif
#define RD1(c,k) :: d_step { up && pc[c]==1 && (KEYS(c)&BIT(k)) && !(rdm&BIT(k)) && RDOK(c,k) -> rdrow(k); \
     if :: (rdm&KEYS(c))==KEYS(c) -> pc[c]=2; AWDONE(c) :: else fi; printf("ACT READ row %d of chunk %d -> %d\n", k, c, crow[k]); CLR }
#if K==2
#define RDS(c) RD1(c,0) RD1(c,1)
#else
#define RDS(c) RD1(c,0) RD1(c,1) RD1(c,2)
#endif
#ifdef HBEFORE
#define AWDONE(c) Aw[c]=0
#define COPIER(c) \
  :: d_step { up && pc[c]==0 && SEQ(c) -> Aw[c]=A; H[c]=n; pc[c]=1; printf("ACT WINDOW %d opened at A_w=%d, H=%d read already\n", c, A, n); CLR } RDS(c) \
  :: d_step { up && pc[c]==2 -> normH(c); pc[c]=3; CLR } ENQ(c)
#else
#ifdef WINP0
#define OPENR(c) :: d_step { up && pc[c]==0 && SEQ(c) -> Aw[c]=n; pc[c]=1; printf("ACT WINDOW %d = what follows binlog end %d (A=%d)\n", c, n, A); CLR }
#define AWDONE(c) skip
#else
#define OPENR(c) OPENW(c)
#define AWDONE(c) Aw[c]=0
#endif
#define COPIER(c) OPENR(c) RDS(c) \
  :: d_step { up && pc[c]==2 -> readH(c); pc[c]=3; printf("ACT READ H=%d\n", H[c]); CLR } ENQ(c)
#endif
#endif

/* ----------------------------------------------------------- target writers
 * Slots are handed out in queue order to items that may start; the statements of
 * items that hold a slot reach the target in any order.                        */
/* rows other than the written one that REPLACE would delete (unique column) */
#if defined(UNIQ) && defined(COLLAT_OK)
#define EVW(j,k)  ( qi[j]!=0 && qi[j]<CHB && (em[(qi[j]+W-1)%W]&BIT(k)) && S((qi[j]%(W+1)),k)!=0 )
#define CHW(j,k)  ( qi[j]>=CHB && CHK(k)==qi[j]-CHB && crow[k]!=0 )
#define VAL(j,k)  ( (qi[j]<CHB -> S((qi[j]%(W+1)),k) : crow[k]) )
#define HIT(j,k,q) ( (EVW(j,k)||CHW(j,k)) && tgt[q]==VAL(j,k) )
#if K==2
#define COLLAT(j) ( HIT(j,0,1)*2 | HIT(j,1,0)*1 )
#else
#define COLLAT(j) ( (HIT(j,0,1)||HIT(j,2,1))*2 | (HIT(j,1,0)||HIT(j,2,0))*1 | (HIT(j,0,2)||HIT(j,1,2))*4 )
#endif
#define ADDC(j) qd[j]=qd[j]|COLLAT(j);
#else
#define COLLAT(j) 0
#define ADDC(j)
#endif
#define NEX1(j) (qs[j]==1)
#define NEXEC   QSUM(NEX1)
#define EX1(j)  ((qs[j]==1)*QD(j))
#define EXD     QOR(EX1)
#if FENCE==3
#define ORPLAND (ostale==0)
#else
#define ORPLAND true
#endif
#if ORPHAN
#define OFREE(j) (ofl!=1 || !(QD(j) & omask))
#define OLOCK (ofl==1 || reread)
#define STALE if :: ofl==2 -> ostale=1 :: else fi;
#else
#define STALE
#define OFREE(j) true
#define OLOCK false
#endif
#define PS(j) (j<qn && qs[j]==0 && !(qm[j] & EARL##j))
#define NPE0 0
#define NPE1 (PS(0))
#define NPE2 (PS(0)+PS(1))
#define NPE3 (NPE2+PS(2))
#define NPE4 (NPE3+PS(3))
#define NPE5 (NPE4+PS(4))
#define NPE6 (NPE5+PS(5))
#ifdef ANYSTART
#define SLOT(j) (NEXEC<NW)
#else
#define SLOT(j) (NEXEC+NPE##j<NW)
#endif
#ifdef FUSE
#define EXECJ(j)
#define EXECD(j) true
#else
#define EXECJ(j) \
  :: d_step { up && j<qn && qs[j]==0 && !(qm[j] & EARL##j) && SLOT(j) && !((QD(j)|COLLAT(j)) & EXD) && OFREE(j) -> \
     qs[j]=1; ADDC(j) printf("ACT EXEC item %d\n", qi[j]); CLR }
#define EXECD(j) (qs[j]==1)
#endif
inline delq(j) {
  for (i : j .. QL-2) { qi[i]=qi[i+1]; qs[i]=qs[i+1]; qm[i]=qm[i+1] }
  qi[QL-1]=0; qs[QL-1]=0; qm[QL-1]=0;
#ifdef SEPD
  for (i : j .. QL-2) { qd[i]=qd[i+1] }
  qd[QL-1]=0;
#endif
  qn--
}
inline showt() { printf("ACT COMMIT item %d -> target %d %d, marker %d, copied %d\n", y, tgt[0], tgt[1], mpos, tfront) }
#if OOO==0 || OOO==3
#if OOO==0
#define TURN(j) (j==0)
#else
#define TURN(j) (qi[j]>=CHB || EVHEAD##j)
#define EVHEAD0 true
#define EVHEAD1 (qi[0]>=CHB)
#define EVHEAD2 (EVHEAD1 && qi[1]>=CHB)
#define EVHEAD3 (EVHEAD2 && qi[2]>=CHB)
#define EVHEAD4 (EVHEAD3 && qi[3]>=CHB)
#define EVHEAD5 (EVHEAD4 && qi[4]>=CHB)
#define EVHEAD6 (EVHEAD5 && qi[5]>=CHB)
#endif
#ifdef NOINITPOS
#define SETM mpos=y; mset=1
#elif ORPHAN && !defined(ONCE)
#define SETM mpos=y
#else
#define SETM assert(y>mpos); mpos=y
#endif
#define COMMITJ(j) \
  :: d_step { up && j<qn && TURN(j) && EXECD(j) && !OLOCK -> \
     y=qi[j]; apply(y); if :: y<CHB -> SETM :: else fi; NORMSP delq(j); STALE showt(); check_exact(); FOLD; CLR }
#else
/* any order: committed items stay until everything before them is committed */
#if OOO==1
#define MARKOOO if :: y<CHB && y>mpos -> mpos=y :: else fi;
#else
#define MARKOOO
#endif
#define COMMITJ(j) \
  :: d_step { up && j<qn && qs[j]==1 -> \
     y=qi[j]; apply(y); qs[j]=2; qm[j]=0; SETD(j,0) MARKOOO \
     do :: qn>0 && qs[0]==2 -> if :: qi[0]<CHB && qi[0]>mpos -> mpos=qi[0] :: else fi; delq(0) :: else -> break od; \
     showt(); FOLD; CLR }
#endif

/* ------------------------------------------------------------------ crashes */
inline clearmem() {
  A=0; qn=0; touched=0; rdm=0;
  for (i : 0 .. NCH-1) { pc[i]=0; Aw[i]=0; H[i]=0 }
  for (i : 0 .. QL-1) { qi[i]=0; qs[i]=0; qm[i]=0 }
#ifdef SEPD
  for (i : 0 .. QL-1) { qd[i]=0 }
#endif
  for (i : 0 .. K-1) { crow[i]=0; CVAL(i,0) skip }
}
inline resume() {
#if CKPT
  mpos=cpos; tfront=cfront;
#endif
#ifdef NOINITPOS
  if :: !mset -> mpos=n :: else fi;
#endif
  A=mpos; up=1;
#if STAGE==2
  sp=n; NORMSP
#endif
  for (i : 0 .. NCH-1) { if :: tfront&BIT(i) -> pc[i]=4 :: else fi }
}
#if ORPHAN
inline mkorphan(kind,j) {     /* a transaction whose turn it is had been sent already */
  y=qi[j]; omask=QD(j);
  if
  :: y<CHB -> for (k : 0 .. K-1) { if :: em[y-1]&BIT(k) -> orow[k]=1+S(y,k) :: else fi } opos=y; ofr=0
  :: else  -> for (k : 0 .. K-1) { if :: CHK(k)==y-CHB && crow[k]!=0 -> orow[k]=1+crow[k] :: else fi } opos=0; ofr=1+y-CHB
  fi;
  ofl=kind;
  printf("ACT KILL -9 with item %d in flight (%d)\n", y, kind)
}
inline killorp() { ofl=0; ostale=0; opos=0; ofr=0; omask=0; for (k : 0 .. K-1) { orow[k]=0 } }
#endif
#if ORPHAN
#define SENT(j) (up && !calm && ofl==0 && j<qn && qs[j]==1 && TURN(j))
#define KILL1(j) :: d_step { SENT(j) -> mkorphan(1,j); clearmem(); up=0; CLR }
#define LOSE1(j) :: d_step { SENT(j) -> mkorphan(1,j); printf("ACT (connection lost only, the process retries)\n"); qs[j]=0; CLR }
#define KILL2(j) :: d_step { SENT(j) -> mkorphan(2,j); clearmem(); up=0; CLR }
#define LOSE2(j) :: d_step { SENT(j) -> mkorphan(2,j); printf("ACT (connection lost only, the process retries)\n"); qs[j]=0; CLR }
#if ORPHAN==2 && defined(CONNLOST)
#define ORPJ(j) KILL1(j) KILL2(j) LOSE1(j) LOSE2(j)
#elif ORPHAN==2
#define ORPJ(j) KILL1(j) KILL2(j)
#elif defined(CONNLOST)
#define ORPJ(j) KILL1(j) LOSE1(j)
#else
#define ORPJ(j) KILL1(j)
#endif
#endif
#ifdef FRONTEARLY
#define FE(c) :: d_step { up && pc[c]==4 && !(tfront&BIT(c)) -> tfront=tfront|BIT(c); normgm(); printf("ACT FRONTIER of chunk %d committed early\n", c); CLR }
#else
#define FE(c)
#endif

#define ALLREC1(i) (n<=(i) || st[i]==3)
#define PC4(c)     (pc[c]==4)
#define FRONTALL   (tfront==BIT(NCH)-1)
#define DONE (started && up && A==n && qn==0 && CAND(PC4) && FRONTALL && WAND(ALLREC1))

#ifdef LIVE
bit fin;
ltl live { [] (calm -> <> fin) }   /* no fairness needed: nothing can go round in circles */
#define FIN fin=1;
#else
#define FIN
#endif

active proctype P() {
  atomic {                               /* any initial contents of the source */
    do
    :: x<K -> x++
    :: x<K -> s[x]=1; x++
#if V>=2
    :: x<K -> s[x]=2; x++
#endif
#if V>=3
    :: x<K -> s[x]=3; x++
#endif
    :: x==K -> break
    od;
#ifdef UNIQ
#if K==3
    if :: s[2]!=0 && (s[2]==s[0] || s[2]==s[1]) -> s[2]=0 :: else fi;
#endif
    if :: s[0]!=0 && s[0]==s[1] -> s[1]=0 :: else fi;
#endif
    x=0;
#ifdef PRECOPIED
    d_step { started=1; up=1; tfront=BIT(NCH)-1; for (i : 0 .. NCH-1) { pc[i]=4 } for (i : 0 .. K-1) { tgt[i]=s[i] };
#if CKPT
    cfront=tfront;
#endif
#if TCRASH
    dfront=tfront; for (i : 0 .. K-1) { dt[i]=s[i] };
#endif
    CLR };
#endif
    printf("ACT INIT source %d %d\n", s[0], s[1])
  }
  do
  /* ---- source ---- */
  TXALL
#if PAIRS
  TXPAIRS
#endif
  WACT(ECOM)
  WACT(RECO)
  /* ---- first start: at any position up to the binlog end ---- */
  :: atomic { !started -> do :: x<n -> x++ :: break od;
       d_step { started=1; up=1; A=x; mpos=x;
#if TCRASH
         dpos=A;
#endif
#if CKPT
         cpos=A;
#endif
#if STAGE==2
         sp=n; NORMSP
#endif
         printf("ACT START at position %d\n", A); FOLD; CLR } }
  /* ---- stream and scheduler ---- */
  :: d_step { up && A<n ->
       evmask(); qi[qn]=A+1; qm[qn]=x; SETD(qn,y) qs[qn]=0; qn++;
       touch(); A++;
       for (i : 0 .. NCH-1) { if :: pc[i]==3 -> normH(i) :: else fi }
       printf("ACT DISPATCH t%d\n", A); CLR }
  /* ---- chunks ---- */
  CACT(COPIER)
  CACT(THROWC)
  CACT(FE)
  /* ---- target ---- */
  QACT(EXECJ)
  QACT(COMMITJ)
#ifdef RETRY
  :: d_step { up && qn>0 && qs[0]==0 && ((QD(0)|COLLAT(0)) & EXD) && OFREE(0) ->
       for (i : 1 .. QL-1) { if :: qs[i]==1 && (QD(i) & (QD(0)|COLLAT(0))) -> qs[i]=0 :: else fi }
       qs[0]=1; ADDC(0) printf("ACT EXEC item %d after rolling back a later writer\n", qi[0]); CLR }
#endif
  /* ---- kill -9 ---- */
#if ORPHAN==0
  :: d_step { up && !calm -> clearmem(); resume(); printf("ACT KILL -9, RESUME at marker %d copied %d\n", mpos, tfront); FOLD; CLR }
#else
  :: d_step { up && !calm -> clearmem(); up=0; printf("ACT KILL -9\n"); CLR }
  QACT(ORPJ)
#if FENCE==3
  :: d_step { up && reread -> clearmem(); reread=0; resume(); printf("ACT sequence check failed: starts again from marker %d copied %d\n", mpos, tfront); FOLD; CLR }
#endif
  :: d_step { started && !up && (FENCE==0 || ofl!=1) ->
#if FENCE>=2
       killorp(); reread=0;
#endif
       resume(); printf("ACT RESUME at marker %d copied %d\n", mpos, tfront); FOLD; CLR }
  :: d_step { ofl>0 && !(omask & EXD) && ORPLAND ->
       for (k : 0 .. K-1) { if :: orow[k]!=0 -> tgt[k]=0 :: else fi }
       for (k : 0 .. K-1) { if :: orow[k]!=0 -> z=orow[k]-1; put(k,z); if :: ofr==0 -> gm=gm|BIT(k) :: else fi :: else fi }
       printf("ACT ORPHAN lands: target %d %d\n", tgt[0], tgt[1]);
       if
       :: ofr==0 ->
#ifdef INEXACT
          if :: opos<100 -> mpos=opos :: else fi
#else
          assert(opos<100);
#ifdef ONCE
          assert(opos>mpos);
#endif
          mpos=opos
#endif
       :: else -> tfront=tfront|COPIED(ofr-1)
       fi;
       NORMSP
#if FENCE==3
       if :: up -> reread=1 :: else fi;
#endif
       killorp(); normgm(); check_exact(); FOLD; CLR }
  :: d_step { ofl>0 -> killorp(); printf("ACT ORPHAN rolled back by the target\n"); CLR }
#endif
#if TCRASH
  :: d_step { started && !calm && (mpos!=dpos || tfront!=dfront || gm!=dgm) ->
       for (i : 0 .. K-1) { dt[i]=tgt[i] } dpos=mpos; dfront=tfront; dgm=gm; printf("ACT target flushed\n"); FOLD; CLR }
  :: d_step { up && !calm ->
       for (i : 0 .. K-1) { tgt[i]=dt[i] } gm=dgm; mpos=dpos; tfront=dfront;
#if TCRASH==1
       clearmem(); resume(); printf("ACT TARGET CRASH, process restarts at marker %d copied %d\n", mpos, tfront); FOLD; CLR }
#else
       for (i : 0 .. QL-1) { if :: qs[i]==1 -> qs[i]=0 :: else fi }
       printf("ACT TARGET CRASH back to marker %d, process reconnects and goes on\n", mpos); CLR }
#endif
#endif
#if CKPT==1
  :: d_step { up && !calm && (cpos!=mpos || cfront!=tfront) -> cpos=mpos; cfront=tfront; printf("ACT CHECKPOINT position %d copied %d\n", cpos, cfront); FOLD; CLR }
#elif CKPT==3
  :: d_step { up && !calm && cpos!=mpos -> cpos=mpos; printf("ACT CHECKPOINT position %d\n", cpos); FOLD; CLR }
  :: d_step { up && !calm && cfront!=tfront -> cfront=tfront; printf("ACT CHECKPOINT copied %d\n", cfront); CLR }
#elif CKPT==2
  :: d_step { up && !calm && (cpos!=A || cfront!=tfront) -> cpos=A; cfront=tfront; printf("ACT CHECKPOINT position %d copied %d\n", cpos, cfront); FOLD; CLR }
#endif
  /* ---- the end ---- */
#ifdef NOCALM
  :: d_step { DONE -> check_final(); CLR }
#else
  :: d_step { !calm -> calm=1; printf("ACT CALM: writer stopped, no more crashes\n"); CLR }
  :: d_step { calm && DONE -> check_final(); FIN printf("ACT DONE\n"); CLR } -> break
#endif
  od
}
