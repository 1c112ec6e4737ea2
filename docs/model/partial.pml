/* SPDX-License-Identifier: MIT */
/* partial.pml -- the algorithm of core.pml with PARTIAL row images
 * (binlog_row_image=MINIMAL / NOBLOB, partial JSON): an update carries the key and
 * the changed columns only, a key move carries the two keys only.
 *
 * Rows have two columns a,b in {0,1}: 0 = ABSENT, else 1+2a+b.
 * Marker mode, commits in order (target transactions fused into one step, engine
 * commit and recording fused, H taken with the read: see core.pml for the fine grain).
 *
 * An update of a row the target does not have changes nothing there.  Hence a key
 * is KNOWN (its row on the target is right at the marker) or UNKNOWN (absent there).
 * Rules checked (each can be removed):
 *   NOREREAD   keys touched by a partial image in the window are dropped and forgotten
 *              (rule: they go to the pending set and are re-read in a mini chunk)
 *   KEEPPART   rows touched by a partial image are not dropped at all
 *   NOMOVE     a key move from a key whose row may be unknown into the copied region
 *              does not make the new key pending
 *   VOLATILE   the pending set lives in memory only
 *   MININODROP the mini chunk ignores touches of its own window
 *   MININOEXEC the mini chunk does not wait for EXEC >= A_w
 *   MOVEKEEPS  a move from an unsure key leaves the new key's earlier "full" mark
 *   NOCLEAR    a full image does not clear the pending mark (expected: harmless)
 *   NOWAITH    no wait for A >= H (chunks and mini chunks)
 *   GAP        recording in gtid_executed is a separate, later step; HEXEC: H = gtid_executed
 *   INEXACT    check the final state only
 *   CKPT       local position file instead of the marker: replays
 */
#ifndef K
#define K 2
#endif
#ifndef W
#define W 2
#endif
#ifndef LAYOUT
#define LAYOUT 2
#endif
#if LAYOUT==1
#define NCH 1
#define CHK(k) 0
#define KEYS(c) (BIT(K)-1)
#elif LAYOUT==2
#define NCH K
#define CHK(k) (k)
#define KEYS(c) BIT(c)
#else
#define NCH 2
#define CHK(k) (((k)+1)/2)
#define KEYS(c) ((c)==0 -> 1 : 6)
#endif
#define QL (W+NCH+1)
#define BIT(k) (1<<(k))
#define NOT(m) (255-(m))
#define S(p,k) s[(p)*K+(k)]
#define CHB 16
#define MINI 32
#define INS 1     /* insert, or update whose image has all columns */
#define DEL 2
#define UPA 3     /* partial: a only */
#define UPB 4     /* partial: b only */
#define MOV 5     /* partial: keys only */
#define A_(v) (((v)-1)/2)
#define B_(v) (((v)-1)%2)
#define ROW(a,b) (1+2*(a)+(b))

byte s[(W+1)*K], n, st[W], ek[W], e1[W], e2[W], ev[W];
bit up, calm;
byte A, qn, qi[QL], qa[QL], qr[QL];      /* queue: item, keys it makes pending / clears */
byte pc[NCH], Aw[NCH], H[NCH], crow[K], fulk, prtk;   /* window: keys with full / partial images */
byte pend;                                /* pending keys as of A (memory) */
byte mk, mpc, mA, mH, mrow;               /* mini chunk: key+1, state, window, H, row */
bit  mtouch;
byte tgt[K], mpos, tfront, tpend;         /* target: rows, marker, copied chunks, pending keys */
byte kn;                                  /* ghost: known keys */
#ifdef CKPT
byte cpos, cfront, cpend, ckn;
#define FOLDX (cpos>0)
#else
#define FOLDX true
#endif
byte i, k, x, y, z;
#define CLR i=0; k=0; x=0; y=0; z=0

#if W==2
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
#define EMK(i)  (BIT(e1[i]) | (ek[i]==MOV)*BIT(e2[i]))
#define LK(i)   ((st[i]==1)*EMK(i))
#define LOCKED  WOR(LK)

inline dec(v) { if :: v>0 -> v-- :: else fi }
inline fold() {
  do
  :: n>0 && st[0]==3 && mpos>0 && A>0 && FOLDX ->
     for (i : 0 .. W*K-1)       { s[i]=s[i+K] }
     for (i : W*K .. (W+1)*K-1) { s[i]=0 }
     for (i : 0 .. W-2) { st[i]=st[i+1]; ek[i]=ek[i+1]; e1[i]=e1[i+1]; e2[i]=e2[i+1]; ev[i]=ev[i+1] }
     st[W-1]=0; ek[W-1]=0; e1[W-1]=0; e2[W-1]=0; ev[W-1]=0;
     n--; mpos--; A--; dec(mA); dec(mH);
     for (i : 0 .. NCH-1) { dec(Aw[i]); dec(H[i]) }
     for (i : 0 .. QL-1) { if :: qi[i]>0 && qi[i]<CHB -> assert(qi[i]>1); qi[i]-- :: else fi }
#ifdef CKPT
     cpos--;
#endif
  :: else -> break
  od;
  skip
}
inline check() {
  skip;
#if !defined(CKPT) && !defined(INEXACT)
  for (k : 0 .. K-1) {
    if :: kn&BIT(k) -> assert(tgt[k]==S(mpos,k)) :: else -> assert(tgt[k]==0) fi
  }
#endif
}

/* ---- source: one row per transaction, or a key move ---- */
inline newtx(kind,a,b,v) {
  for (k : 0 .. K-1) { S(n+1,k)=S(n,k) }
  ek[n]=kind; e1[n]=a; e2[n]=b; ev[n]=v; st[n]=1;
  if
  :: kind==INS -> S(n+1,a)=v
  :: kind==DEL -> S(n+1,a)=0
  :: kind==UPA -> S(n+1,a)=ROW(v,B_(S(n,a)))
  :: kind==UPB -> S(n+1,a)=ROW(A_(S(n,a)),v)
  :: kind==MOV -> S(n+1,b)=S(n,a); S(n+1,a)=0
  fi;
  n++;
  printf("ACT BINLOG t%d kind %d key %d,%d val %d -> source %d %d\n", n, kind, a, b, v, S(n,0), S(n,1))
}
#define OKW (!calm && n<W)
#define FR(a) !(LOCKED&BIT(a))
#define TXK(a) \
  :: d_step { OKW && FR(a) -> newtx(INS,a,0,1); CLR } \
  :: d_step { OKW && FR(a) -> newtx(INS,a,0,4); CLR } \
  :: d_step { OKW && FR(a) && S(n,a)!=0 -> newtx(DEL,a,0,0); CLR } \
  :: d_step { OKW && FR(a) && S(n,a)!=0 -> newtx(UPA,a,0,0); CLR } \
  :: d_step { OKW && FR(a) && S(n,a)!=0 -> newtx(UPA,a,0,1); CLR } \
  :: d_step { OKW && FR(a) && S(n,a)!=0 -> newtx(UPB,a,0,0); CLR } \
  :: d_step { OKW && FR(a) && S(n,a)!=0 -> newtx(UPB,a,0,1); CLR }
#define TXM(a,b) :: d_step { OKW && FR(a) && FR(b) && S(n,a)!=0 && S(n,b)==0 -> newtx(MOV,a,b,0); CLR }
#ifdef UNORD
#define PREVC(i) true
#define PREVR(i) true
#else
#define PREVC(i) ((i)==0 || st[((i)+W-1)%W]>=2)
#define PREVR(i) ((i)==0 || st[((i)+W-1)%W]==3)
#endif
#ifdef GAP
#define ECOM(i) :: d_step { i<n && st[i]==1 && PREVC(i) -> st[i]=2; printf("ACT ENGINE-COMMIT t%d\n", i+1); CLR } \
                :: d_step { i<n && st[i]==2 && PREVR(i) -> st[i]=3; printf("ACT RECORDED t%d\n", i+1); fold(); CLR }
#else
#define ECOM(i) :: d_step { i<n && st[i]==1 && PREVC(i) -> st[i]=3; printf("ACT ENGINE-COMMIT t%d\n", i+1); fold(); CLR }
#endif
#ifdef HEXEC
inline setH(h) { h=0; for (i : 0 .. W-1) { if :: i<n && st[i]==3 -> h=i+1 :: else fi } }
#else
inline setH(h) { h=n }
#endif

/* ---- what the tool knows about the row of key k at scheduled position A ---- */
#define INW(k)   (pc[CHK(k)]>=1 && pc[CHK(k)]<=3)
#define INC(k)   (pc[CHK(k)]==4)
#define SURE(k)  ( (INC(k) && !(pend&BIT(k))) || (INW(k) && (fulk&BIT(k))) )
inline fullimg(kk) {     /* the event fixes the whole row of kk (or its absence) */
  if :: INW(kk) -> fulk=fulk|BIT(kk); prtk=prtk&NOT(BIT(kk)); crow[kk]=0 :: else fi;
#ifndef NOCLEAR
  if :: pend&BIT(kk) -> y=y|BIT(kk); pend=pend&NOT(BIT(kk)) :: else fi;
#endif
  if :: mk==kk+1 -> mk=0; mpc=0; mA=0; mH=0; mrow=0; mtouch=0 :: else fi
}
inline partimg(kk) {     /* the event fixes only a part of the row of kk */
#ifndef KEEPPART
  if :: INW(kk) && !(fulk&BIT(kk)) -> prtk=prtk|BIT(kk); crow[kk]=0 :: else fi;
#endif
  if :: mk==kk+1 -> mtouch=1 :: else fi
}
inline partmove(kk) {    /* an unsure row moves to kk: kk is unknown again, whatever came before */
#ifndef MOVEKEEPS
  fulk=fulk&NOT(BIT(kk));
#endif
  partimg(kk)
}
inline dispatch() {
  x=0; y=0;              /* x: keys becoming pending, y: keys no longer pending */
  if
  :: ek[A]==INS || ek[A]==DEL -> k=e1[A]; fullimg(k)
  :: ek[A]==UPA || ek[A]==UPB -> k=e1[A]; partimg(k)
  :: ek[A]==MOV ->
     k=e1[A]; z=e2[A];
     if :: SURE(k) -> fullimg(z)
        :: else ->
#ifndef NOMOVE
           if :: INC(z) -> x=x|BIT(z); pend=pend|BIT(z) :: else fi;
#endif
           partmove(z)
     fi;
     fullimg(k)
  fi;
  A++; qi[qn]=A; qa[qn]=x; qr[qn]=y; qn++;
  for (i : 0 .. NCH-1) { normH(i) }
  if :: mH<=A -> mH=0 :: else fi;
  printf("ACT DISPATCH t%d (pending +%d -%d)\n", A, x, y)
}
inline normH(c) { if :: H[c]<=A -> H[c]=0 :: else fi }
inline visible(kk) {
  x=S(0,kk);
  for (i : 0 .. W-1) { if :: i<n && st[i]>=2 && (EMK(i)&BIT(kk)) -> x=S(i+1,kk) :: else fi }
}
#define RECD0(i) (Aw[0]<=(i) || st[i]==3)
#define RECD1(i) (Aw[1]<=(i) || st[i]==3)
#define RECD2(i) (Aw[2]<=(i) || st[i]==3)
#define RECDM(i) (mA<=(i) || st[i]==3)
#ifdef MININOEXEC
#define MEXEC true
#else
#define MEXEC WAND(RECDM)
#endif
#ifdef NOWAITH
#define GH(c) true
#define GMH true
#else
#define GH(c) (H[c]==0)
#define GMH (mH==0)
#endif
#define SEQ(c) (c==0 || pc[(c+NCH-1)%NCH]==4)
#define COPIER(c) \
  :: d_step { up && pc[c]==0 && SEQ(c) -> Aw[c]=A; pc[c]=1; fulk=fulk&NOT(KEYS(c)); prtk=prtk&NOT(KEYS(c)); printf("ACT WINDOW %d opened at %d\n", c, A); CLR } \
  :: d_step { up && pc[c]==1 && WAND(RECD##c) -> \
     for (k : 0 .. K-1) { if :: (KEYS(c)&BIT(k)) && !((fulk|prtk)&BIT(k)) -> visible(k); crow[k]=x :: else fi } \
     setH(H[c]); normH(c); Aw[c]=0; pc[c]=3; printf("ACT SNAPSHOT chunk %d : %d %d, H=%d\n", c, crow[0], crow[1], n); CLR } \
  :: d_step { up && pc[c]==3 && GH(c) && qn<QL -> \
     x=0; ADDPART(c) pend=pend|x; qi[qn]=CHB+c; qa[qn]=x; qr[qn]=KEYS(c)&NOT(fulk|prtk); qn++; \
     pc[c]=4; fulk=fulk&NOT(KEYS(c)); prtk=prtk&NOT(KEYS(c)); \
     printf("ACT CHUNK %d dispatched at A=%d rows %d %d pending +%d\n", c, A, crow[0], crow[1], x); CLR }
#ifdef NOREREAD
#define ADDPART(c)
#else
#define ADDPART(c) x=prtk&KEYS(c);
#endif
/* mini chunk for one pending key */
#define MOPEN(k) :: d_step { up && mk==0 && (pend&BIT(k)) -> mk=k+1; mpc=1; mA=A; printf("ACT MINI key %d window at %d\n", k, A); CLR }
#define MINIS \
  :: d_step { up && mpc==1 && MEXEC -> z=mk-1; visible(z); mrow=x; setH(mH); if :: mH<=A -> mH=0 :: else fi; mA=0; mpc=3; printf("ACT MINI read %d H=%d\n", mrow, n); CLR } \
  :: d_step { up && mpc==3 && GMH && MT -> mk=0; mpc=0; mrow=0; mtouch=0; printf("ACT MINI touched again, retry\n"); CLR } \
  :: d_step { up && mpc==3 && GMH && !MT && qn<QL -> \
     qi[qn]=MINI+mk-1; qa[qn]=mrow; qr[qn]=BIT(mk-1); qn++; pend=pend&NOT(BIT(mk-1)); \
     printf("ACT MINI key %d dispatched row %d\n", mk-1, mrow); mk=0; mpc=0; mrow=0; mtouch=0; CLR }
#ifdef MININODROP
#define MT false
#else
#define MT (mtouch==1)
#endif

/* ---- target, in order ---- */
inline commit() {
  y=qi[0];
  if
  :: y<CHB ->
     z=y-1; k=e1[z];
     if
     :: ek[z]==INS -> tgt[k]=ev[z]; kn=kn|BIT(k)
     :: ek[z]==DEL -> tgt[k]=0; kn=kn|BIT(k)
     :: ek[z]==UPA -> if :: tgt[k]!=0 -> tgt[k]=ROW(ev[z],B_(tgt[k])) :: else fi
     :: ek[z]==UPB -> if :: tgt[k]!=0 -> tgt[k]=ROW(A_(tgt[k]),ev[z]) :: else fi
     :: ek[z]==MOV ->
        if :: tgt[k]!=0 -> tgt[e2[z]]=tgt[k]; tgt[k]=0 :: else fi;
        if :: kn&BIT(k) -> kn=kn|BIT(e2[z]) :: else -> kn=kn&NOT(BIT(e2[z])) fi;
        kn=kn|BIT(k)
     fi;
     tpend=(tpend|qa[0])&NOT(qr[0]); mpos=y
  :: y>=CHB && y<MINI ->
     z=y-CHB;
     for (k : 0 .. K-1) { if :: qr[0]&BIT(k) -> if :: crow[k]!=0 -> tgt[k]=crow[k]; crow[k]=0 :: else fi; kn=kn|BIT(k) :: else fi }
     tpend=tpend|qa[0]; tfront=tfront|BIT(z)
  :: y>=MINI ->
     k=y-MINI; tgt[k]=qa[0]; kn=kn|BIT(k); tpend=tpend&NOT(qr[0])
  fi;
  for (i : 0 .. QL-2) { qi[i]=qi[i+1]; qa[i]=qa[i+1]; qr[i]=qr[i+1] }
  qi[QL-1]=0; qa[QL-1]=0; qr[QL-1]=0; qn--;
#ifdef VOLATILE
  tpend=0;
#endif
  printf("ACT COMMIT item %d -> target %d %d marker %d copied %d pending %d\n", y, tgt[0], tgt[1], mpos, tfront, tpend);
  check(); fold()
}
inline kill9() {
  A=0; qn=0; fulk=0; prtk=0; mk=0; mpc=0; mA=0; mH=0; mrow=0; mtouch=0;
  for (i : 0 .. NCH-1) { pc[i]=0; Aw[i]=0; H[i]=0 }
  for (i : 0 .. QL-1) { qi[i]=0; qa[i]=0; qr[i]=0 }
  for (i : 0 .. K-1) { crow[i]=0 }
#ifdef CKPT
  mpos=cpos; tfront=cfront; tpend=cpend;
#endif
  A=mpos; pend=tpend;
  for (i : 0 .. NCH-1) { if :: tfront&BIT(i) -> pc[i]=4 :: else fi }
}
#define PC4(c) (pc[c]==4)
#define ALLREC1(i) (n<=(i) || st[i]==3)
#define DONE (A==n && qn==0 && CAND(PC4) && tfront==BIT(NCH)-1 && pend==0 && mk==0 && WAND(ALLREC1))

#ifdef LIVE
bit fin;
ltl live { [] (calm -> <> fin) }
#define FIN fin=1;
#else
#define FIN
#endif

active proctype P() {
  atomic {
    do
    :: x<K -> x++
    :: x<K -> s[x]=1; x++
    :: x<K -> s[x]=4; x++
    :: x==K -> break
    od;
    x=0; up=1;
    printf("ACT INIT source %d %d\n", s[0], s[1])
  }
  do
  TXK(0) TXK(1) TXM(0,1) TXM(1,0)
#if K==3
  TXK(2) TXM(0,2) TXM(2,0) TXM(1,2) TXM(2,1)
#endif
  WACT(ECOM)
  :: d_step { up && A<n && qn<QL -> dispatch(); CLR }
  CACT(COPIER)
  MOPEN(0) MOPEN(1)
#if K==3
  MOPEN(2)
#endif
  MINIS
  :: d_step { up && qn>0 -> commit(); CLR }
  :: d_step { up && !calm -> kill9(); printf("ACT KILL -9, RESUME at marker %d copied %d pending %d\n", mpos, tfront, tpend); fold(); CLR }
#ifdef CKPT
  :: d_step { up && !calm && (cpos!=mpos || cfront!=tfront || cpend!=tpend) -> cpos=mpos; cfront=tfront; cpend=tpend; printf("ACT CHECKPOINT %d %d %d\n", cpos, cfront, cpend); fold(); CLR }
#endif
#ifdef NOCALM
  :: d_step { DONE -> for (k : 0 .. K-1) { assert(tgt[k]==S(n,k)) } CLR }
#else
  :: d_step { !calm -> calm=1; printf("ACT CALM\n"); CLR }
  :: d_step { calm && DONE -> for (k : 0 .. K-1) { assert(tgt[k]==S(n,k)) } FIN printf("ACT DONE\n"); CLR } -> break
#endif
  od
}
